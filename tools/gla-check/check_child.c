/* SPDX-License-Identifier: Apache-2.0
 *
 * check_child.c - the process of one check: what it has to say goes through a pipe
 */
#define _XOPEN_SOURCE 700 /* sigaltstack */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gla-check/check.h"

enum { SECONDS = 120 };

static int pipe_end = -1;
static char width_note[32]; /* " (d_model 20)" */

void check_at_width(uint32_t width)
{
    snprintf(width_note, sizeof(width_note), " (d_model %u)", width);
}

int check_say(const char *format, ...)
{
    char text[CHECK_TEXT];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        (void)!write(pipe_end, text, strlen(text)); /* without a parent nobody listens */
    return 1;
}

int check_say_diag(const gla_diag *diag)
{
    char text[1024];

    return check_say("%s", gla_diag_format(diag, text, sizeof(text)));
}

/* What a plugin's crash looks like; only async-signal-safe calls. */
static void on_signal(int number)
{
    const char *now = gla_validate_now();
    const char *text = number == SIGSEGV   ? "crashes (SIGSEGV) in "
                       : number == SIGBUS  ? "crashes (SIGBUS) in "
                       : number == SIGFPE  ? "crashes (SIGFPE) in "
                       : number == SIGILL  ? "crashes (SIGILL) in "
                       : number == SIGABRT ? "calls abort() in "
                                           : "does not come back from ";
    if (!now[0])
        now = "a constructor, a thread or an exit handler of the plugin";
    (void)!(write(pipe_end, text, strlen(text)) > 0 && write(pipe_end, now, strlen(now)) > 0 &&
            write(pipe_end, width_note, strlen(width_note)) > 0);
    _exit(1);
}

/* exit() within a plugin; the child itself leaves with _exit(). */
static void on_exit_called(void)
{
    const char *now = gla_validate_now();

    check_say("calls exit() in %s", now[0] ? now : "a constructor or a thread of the plugin");
    _exit(1);
}

void check_begin(int fd)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    static char stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_flags = SA_ONSTACK};

    pipe_end = fd;
    action.sa_handler = on_signal;
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    atexit(on_exit_called);
    signal(SIGINT, SIG_DFL); /* ^C is for the parent to tell of */
    alarm(SECONDS);
    check_count_memory();
    gla_set_validate(1);
}
