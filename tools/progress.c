#include "tools/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define NS_PER_S        1e9
#define TERMINAL_GAP_NS INT64_C(200000000)
#define LINE_GAP_NS     INT64_C(5000000000)
#define BAR_CELLS       30

void cairn_progress_begin(struct cairn_progress *progress, const struct cairn_clock *clock,
                          const char *unit, bool quiet)
{
    *progress = (struct cairn_progress){
        .clock = clock,
        .unit = unit,
        .quiet = quiet,
        .terminal = isatty(STDERR_FILENO) == 1,
        .begin_ns = cairn_clock_monotonic_ns(clock),
    };
    progress->shown_ns = progress->begin_ns;
}

double cairn_progress_seconds(const struct cairn_progress *progress)
{
    return (double)(cairn_clock_monotonic_ns(progress->clock) - progress->begin_ns) / NS_PER_S;
}

static void print_left(double seconds)
{
    if (seconds < 60.0) {
        (void)fprintf(stderr, ", %.0f s left", seconds);
    } else {
        (void)fprintf(stderr, ", %.0f min left", seconds / 60.0);
    }
}

static void print_bar(double part)
{
    char cells[BAR_CELLS + 1];
    int full = (int)(part * BAR_CELLS);
    for (int i = 0; i < BAR_CELLS; i++) {
        cells[i] = i < full ? '#' : '.';
    }
    cells[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "[%s] %3.0f %%  ", cells, part * 100.0);
}

void cairn_progress_show(struct cairn_progress *progress, uint64_t items, double part)
{
    if (progress->quiet) {
        return;
    }
    int64_t now = cairn_clock_monotonic_ns(progress->clock);
    int64_t gap = now - progress->shown_ns;
    if (gap < (progress->terminal ? TERMINAL_GAP_NS : LINE_GAP_NS)) {
        return;
    }
    double current = (double)(items - progress->shown_items) / ((double)gap / NS_PER_S);
    progress->rate = progress->rate <= 0.0 ? current : 0.7 * progress->rate + 0.3 * current;
    progress->shown_ns = now;
    progress->shown_items = items;
    if (progress->terminal) {
        (void)fputs("\r\033[K", stderr);
    }
    if (part >= 0.0) {
        print_bar(part > 1.0 ? 1.0 : part);
    }
    (void)fprintf(stderr, "%" PRIu64 " %s, %.0f/s", items, progress->unit, progress->rate);
    if (part > 0.0 && part < 1.0) {
        print_left(cairn_progress_seconds(progress) * (1.0 - part) / part);
    }
    if (!progress->terminal) {
        (void)fputc('\n', stderr);
    }
}

void cairn_progress_end(struct cairn_progress *progress, uint64_t items)
{
    if (progress->quiet) {
        return;
    }
    double seconds = cairn_progress_seconds(progress);
    if (progress->terminal) {
        (void)fputs("\r\033[K", stderr);
    }
    (void)fprintf(stderr, "%" PRIu64 " %s in %.2f s, %.0f/s\n", items, progress->unit, seconds,
                  seconds > 0.0 ? (double)items / seconds : 0.0);
}
