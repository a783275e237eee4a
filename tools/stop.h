/* SIGTERM and SIGINT, heard where it suits: between two steps of a long piece of work. */
#ifndef CAIRN_TOOLS_STOP_H
#define CAIRN_TOOLS_STOP_H

#include <signal.h>
#include <stdbool.h>

struct cairn_stop {
    sigset_t signals;
    int signal; /* that came; 0: none has */
};

/* Blocks them. thread: the main thread, before any other exists: those inherit it. */
void cairn_stop_begin(struct cairn_stop *stop);
/* Waits at most wait_ms for one. Once it came, it has come. thread: owner. */
bool cairn_stop_came(struct cairn_stop *stop, int wait_ms);

#endif
