#include "platform/metrics.h"

#include <pthread.h>
#include <stdio.h>

#include "platform/fault.h"

#include "tests/support/cm.h"

static void assert_rendered(struct cairn_metrics *metrics, const char *wanted)
{
    struct cairn_buf out = {.max = 1 << 20};
    assert_int_equal(cairn_metrics_render(metrics, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_string_equal(out.data, wanted);
    cairn_buf_fini(&out);
}

static void families_are_grouped_in_the_order_they_came(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    struct cairn_metric *ok =
        cairn_metrics_add(metrics, CAIRN_COUNTER, "b_total", "status=\"ok\"", "Answers.");
    struct cairn_metric *depth = cairn_metrics_add(metrics, CAIRN_GAUGE, "a_depth", NULL, "Depth.");
    struct cairn_metric *bad =
        cairn_metrics_add(metrics, CAIRN_COUNTER, "b_total", "status=\"bad\"", "Answers.");
    cairn_metric_inc(ok, 3);
    cairn_metric_inc(bad, 1);
    cairn_metric_set(depth, -7);
    assert_rendered(metrics, "# HELP b_total Answers.\n# TYPE b_total counter\n"
                             "b_total{status=\"ok\"} 3\nb_total{status=\"bad\"} 1\n"
                             "# HELP a_depth Depth.\n# TYPE a_depth gauge\na_depth -7\n");
    cairn_metrics_free(metrics);
}

static void the_same_name_and_labels_are_the_same_metric(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    struct cairn_metric *one = cairn_metrics_add(metrics, CAIRN_COUNTER, "x", "a=\"1\"", "X.");
    char labels[] = "a=\"1\"";
    assert_ptr_equal(cairn_metrics_add(metrics, CAIRN_COUNTER, "x", labels, "X."), one);
    labels[3] = '2'; /* copied: the first metric keeps its label */
    assert_ptr_not_equal(cairn_metrics_add(metrics, CAIRN_COUNTER, "x", labels, "X."), one);
    assert_rendered(metrics, "# HELP x X.\n# TYPE x counter\nx{a=\"1\"} 0\nx{a=\"2\"} 0\n");
    cairn_metrics_free(metrics);
}

static void a_gauge_goes_up_and_down_through_zero(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    struct cairn_metric *gauge = cairn_metrics_add(metrics, CAIRN_GAUGE, "g", NULL, "G.");
    cairn_metric_inc(gauge, 2);
    cairn_metric_dec(gauge, 5);
    assert_rendered(metrics, "# HELP g G.\n# TYPE g gauge\ng -3\n");
    cairn_metric_set(gauge, INT64_MIN);
    assert_rendered(metrics, "# HELP g G.\n# TYPE g gauge\ng -9223372036854775808\n");
    cairn_metrics_free(metrics);
}

static void a_histogram_counts_each_observation_in_its_bucket_and_all_above(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    struct cairn_metric *h = cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "h", "r=\"x\"", "H.");
    cairn_metric_observe_ns(h, 50000);                /* on a bound: within it */
    cairn_metric_observe_ns(h, 50001);                /* just above */
    cairn_metric_observe_ns(h, INT64_C(10000000001)); /* above the last bound */
    cairn_metric_observe_ns(h, -5);                   /* a clock that misbehaves adds no time */
    assert_int_equal(cairn_metric_value(h), 4);
    struct cairn_buf out = {.max = 1 << 20};
    assert_int_equal(cairn_metrics_render(metrics, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data, "h_bucket{r=\"x\",le=\"5e-05\"} 2\n"
                                     "h_bucket{r=\"x\",le=\"0.0001\"} 3\n"));
    assert_non_null(strstr(out.data, "h_bucket{r=\"x\",le=\"10\"} 3\n"
                                     "h_bucket{r=\"x\",le=\"+Inf\"} 4\n"
                                     "h_sum{r=\"x\"} 10.000100002\nh_count{r=\"x\"} 4\n"));
    cairn_buf_fini(&out);
    cairn_metrics_free(metrics);
}

static void a_histogram_without_labels_has_le_alone(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    assert_non_null(cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "h", NULL, "H."));
    struct cairn_buf out = {.max = 1 << 20};
    assert_int_equal(cairn_metrics_render(metrics, &out), CAIRN_OK);
    assert_int_equal(cairn_buf_append_byte(&out, '\0'), CAIRN_OK);
    assert_non_null(strstr(out.data, "\nh_bucket{le=\"5e-05\"} 0\n"));
    assert_non_null(strstr(out.data, "\nh_sum 0.000000000\nh_count 0\n"));
    cairn_buf_fini(&out);
    cairn_metrics_free(metrics);
}

static void no_metric_counts_nothing(void **state)
{
    (void)state;
    cairn_metric_inc(NULL, 1);
    cairn_metric_dec(NULL, 1);
    cairn_metric_set(NULL, 1);
    cairn_metric_observe_ns(NULL, 1);
    assert_int_equal(cairn_metric_value(NULL), 0);
    cairn_metrics_free(NULL);
}

static void past_max_no_metric_is_added_and_known_ones_are_still_found(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    char labels[32];
    for (int i = 0; i < CAIRN_METRICS_MAX; i++) {
        (void)snprintf(labels, sizeof(labels), "n=\"%d\"", i);
        assert_non_null(cairn_metrics_add(metrics, CAIRN_COUNTER, "x", labels, "X."));
    }
    assert_null(cairn_metrics_add(metrics, CAIRN_COUNTER, "x", "n=\"more\"", "X."));
    assert_null(cairn_metrics_add(metrics, CAIRN_COUNTER, "y", NULL, "Y."));
    assert_non_null(cairn_metrics_add(metrics, CAIRN_COUNTER, "x", labels, "X."));
    cairn_metrics_free(metrics);
}

static void adding_and_rendering_without_memory_change_nothing(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    bool fired = true;
    for (int after = 0; fired; after++) {
        cairn_fault_arm(CAIRN_FAULT_MEM, after);
        struct cairn_metric *metric = cairn_metrics_add(metrics, CAIRN_COUNTER, "x", NULL, "X.");
        fired = cairn_fault_fired(CAIRN_FAULT_MEM);
        cairn_fault_disarm();
        assert_int_equal(fired, metric == NULL);
        assert_rendered(metrics, fired ? "" : "# HELP x X.\n# TYPE x counter\nx 0\n");
    }
    struct cairn_buf small = {.max = 30};
    assert_int_equal(cairn_buf_append_str(&small, "kept"), CAIRN_OK);
    assert_int_equal(cairn_metrics_render(metrics, &small), CAIRN_ETOOBIG);
    assert_true(cairn_slice_is(cairn_buf_slice(&small), "kept"));
    cairn_buf_fini(&small);
    cairn_fault_arm(CAIRN_FAULT_MEM, 0);
    struct cairn_metrics *none = cairn_metrics_new();
    assert_int_equal(cairn_fault_fired(CAIRN_FAULT_MEM), none == NULL);
    cairn_fault_disarm();
    cairn_metrics_free(none);
    cairn_metrics_free(metrics);
}

enum { COUNTERS = 4, COUNTS_EACH = 50000 };

static void *count(void *argument)
{
    struct cairn_metrics *metrics = argument;
    struct cairn_metric *total = cairn_metrics_add(metrics, CAIRN_COUNTER, "n", NULL, "N.");
    struct cairn_metric *times = cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "t", NULL, "T.");
    for (int i = 0; i < COUNTS_EACH; i++) {
        cairn_metric_inc(total, 1);
        cairn_metric_observe_ns(times, i);
    }
    return NULL;
}

static void counts_of_many_threads_add_up_while_others_render(void **state)
{
    (void)state;
    struct cairn_metrics *metrics = cairn_metrics_new();
    pthread_t threads[COUNTERS];
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, metrics), 0);
    }
    for (int i = 0; i < 50; i++) {
        struct cairn_buf out = {.max = 1 << 20};
        assert_int_equal(cairn_metrics_render(metrics, &out), CAIRN_OK);
        cairn_buf_fini(&out);
    }
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct cairn_metric *total = cairn_metrics_add(metrics, CAIRN_COUNTER, "n", NULL, "N.");
    struct cairn_metric *times = cairn_metrics_add(metrics, CAIRN_HISTOGRAM, "t", NULL, "T.");
    assert_int_equal(cairn_metric_value(total), COUNTERS * COUNTS_EACH);
    assert_int_equal(cairn_metric_value(times), COUNTERS * COUNTS_EACH);
    cairn_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_grouped_in_the_order_they_came),
        cmocka_unit_test(the_same_name_and_labels_are_the_same_metric),
        cmocka_unit_test(a_gauge_goes_up_and_down_through_zero),
        cmocka_unit_test(a_histogram_counts_each_observation_in_its_bucket_and_all_above),
        cmocka_unit_test(a_histogram_without_labels_has_le_alone),
        cmocka_unit_test(no_metric_counts_nothing),
        cmocka_unit_test(past_max_no_metric_is_added_and_known_ones_are_still_found),
        cmocka_unit_test(adding_and_rendering_without_memory_change_nothing),
        cmocka_unit_test(counts_of_many_threads_add_up_while_others_render),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
