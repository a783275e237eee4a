/* A child process that works until it is killed, as a power cut would end it. */
#ifndef CAIRN_TESTS_SUPPORT_KILLED_H
#define CAIRN_TESTS_SUPPORT_KILLED_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cm.h"

/* work runs in the child: it writes a byte to `out` behind each step that is done, and does not
 * return. After `wanted` of them the child is killed. Returns how many were done: the last step may
 * have been begun beside them. */
static inline unsigned killed_after(unsigned wanted, void (*work)(void *self, int out), void *self)
{
    int pipes[2];
    char byte;
    int status = 0;
    unsigned done = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work(self, pipes[1]);
        _exit(2);
    }
    assert_int_equal(close(pipes[1]), 0);
    while (done < wanted && read(pipes[0], &byte, 1) == 1) {
        done++;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(pipes[0], &byte, 1) == 1) {
        done++;
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(close(pipes[0]), 0);
    return done;
}

#endif
