/* SPDX-License-Identifier: Apache-2.0
 *
 * run_chat.h - a chat and its branches
 *
 * The messages are the chat; a session is only what the model has read of them.  Before each answer
 * the template makes the whole conversation into tokens, the session is cut back to what it has in
 * common with them and reads the rest.
 */
#ifndef GLA_RUN_CHAT_H
#define GLA_RUN_CHAT_H

#include <gla/chat.h>

#include "gla-run/run.h"

typedef struct chat_branch {
    char *name;
    gla_session *session;
    json_t *messages; /* [{"role": ..., "content": ...}, ...] */
} chat_branch;

typedef struct chat {
    run *r;
    gla_chat_template *template;
    chat_branch *branches; /* [n_branches] */
    size_t n_branches, now;
    uint64_t fed, reused, replayed; /* tokens: read, had already, computed again to come back */
    uint64_t written;
    bool quit, failed;
} chat;

gla_status chat_open(chat *c, gla_diag *diag);
void chat_close(chat *c);
/* The current branch. */
chat_branch *chat_here(chat *c);
/* name is copied; session and messages are taken, also on failure. */
gla_status chat_add_branch(chat *c, const char *name, gla_session *session, json_t *messages,
                           gla_diag *diag);

/* The user says this; the answer goes to stdout.  After a failure the message is not said. */
gla_status chat_say(chat *c, const char *text, gla_diag *diag);
/* Takes the last message of the user and its answer back. */
gla_status chat_undo(chat *c, gla_diag *diag);
/* The session to `path`, the messages to "path.chat.json". */
gla_status chat_save(chat *c, const char *path, gla_diag *diag);
gla_status chat_load_messages(const char *path, json_t **out, gla_diag *diag);

/* A line that begins with a slash. */
gla_status chat_command(chat *c, const char *line, gla_diag *diag);

#endif
