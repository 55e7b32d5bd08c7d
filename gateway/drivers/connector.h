/* Makes connections to replica-servers for the data thread: resolve, connect, transport, then a letter.
 *
 * Thread: control thread (libev) only. An attempt that is not done within `timeout_ms` fails. Allocates; it is not on
 * the data path.
 */
#ifndef GATEWAY_DRIVERS_CONNECTOR_H
#define GATEWAY_DRIVERS_CONNECTOR_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/core/volume.h"

struct connector;
struct ev_loop;
struct letter;
struct mailbox;

struct connector_options {
	unsigned timeout_ms; /* for one attempt, name resolution included */
};
void connector_options_default(struct connector_options *ret);

/* Copies what it needs of `spec`; borrows `loop` and `to_data` until connector_free(). NULL with `err`. */
struct connector *connector_new(const struct connector_options *options, const struct volume_spec *spec,
				struct ev_loop *loop, struct mailbox *to_data, struct err *err);
/* Gives up all attempts. NULL is fine. */
void connector_free(struct connector *connector);

/* A LETTER_CONNECT. Answered by LETTER_LANE_READY or LETTER_LANE_FAILED, unless a newer one of the same lane replaces
 * it. */
void connector_connect(struct connector *connector, const struct letter *letter);

#endif
