/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/chat.h - from the messages of a chat to the text that a model was trained on
 *
 * Implemented by formats/chat.
 *
 * A chat template is the Jinja text that comes with a published model: chat_template.jinja, or
 * "chat_template" in tokenizer_config.json.  What of Jinja is not supported is refused by name and
 * line, when the template is opened or, where it depends on the messages, when it is rendered.
 * Rendering is bounded in steps, depth, memory and output.  A template is immutable: any number of
 * threads may use it.
 *
 *     gla_chat_message m[] = {{"system", "Be brief."}, {"user", "Hello!"}};
 *     st = gla_chat_template_open("model/", &t, &diag);
 *     st = gla_chat_template_render(t, m, 2, sizeof(m[0]), GLA_CHAT_GENERATE, NULL, &text, &size,
 *                                   &diag);
 *     st = gla_tokenizer_encode(tok, text, size, 0, &ids, &n, &diag);  // the template adds <s>
 */
#ifndef GLA_CHAT_H
#define GLA_CHAT_H

#include <gla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gla_chat_template gla_chat_template;

/* Grows by the stride that gla_chat_template_render() is told. */
typedef struct gla_chat_message {
    const char *role;    /* "system", "user", "assistant", ... */
    const char *content; /* UTF-8 */
} gla_chat_message;

#define GLA_CHAT_GENERATE 1u /* end with what begins the assistant's answer */

/* path: a folder with chat_template.jinja or tokenizer_config.json (which also names bos_token and
 * eos_token), or one such file.  GLA_E_UNSUPPORTED if the model has no template. */
GLA_API GLA_NODISCARD gla_status gla_chat_template_open(const char *path, gla_chat_template **out,
                                                        gla_diag *diag);
/* The same from memory; `name` stands in messages, bos and eos may be NULL. */
GLA_API GLA_NODISCARD gla_status gla_chat_template_parse(const char *source, size_t size,
                                                         const char *name, const char *bos,
                                                         const char *eos, gla_chat_template **out,
                                                         gla_diag *diag);
GLA_API void gla_chat_template_free(gla_chat_template *t);

/* message_size: sizeof(*messages).  variables: NULL, or a JSON object of more variables ("tools",
 * "enable_thinking", ...), which win over ours: "messages" may be given here with more than role
 * and content.  "strftime_now" may give the time for the function of that name, in seconds since
 * 1970.  *text is NUL-terminated besides having a size; gla_text_free(). */
GLA_API GLA_NODISCARD gla_status gla_chat_template_render(
    const gla_chat_template *t, const gla_chat_message *messages, size_t n, size_t message_size,
    uint32_t flags, const char *variables, char **text, size_t *size, gla_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
