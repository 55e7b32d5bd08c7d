/* A connection to a replica-server that speaks the wire but keeps none of its rules: for hostile tests. Blocking, with
 * one timeout per receive. Every call dies with EXIT_CANNOT on an error of this side. */
#ifndef TESTS_NATIVE_WIRE_CLIENT_H
#define TESTS_NATIVE_WIRE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/frame.h"
#include "proto/message.h"

struct wire_client {
	int fd; /* -1: closed */
	int timeout_ms;
	uint64_t cut_at; /* of the next send: only so many bytes, then the connection is closed; UINT64_MAX: whole */
	uint8_t payload[IO_BYTES_MAX]; /* of the frame received last */
};

enum wire_event { WIRE_FRAME, WIRE_CLOSED, WIRE_TIMEOUT, WIRE_NONSENSE };

/* `address` is ADDR:PORT. 0 or -errno. */
int wire_client_connect(struct wire_client *client, const char *address) must_check;
void wire_client_close(struct wire_client *client, bool by_reset);
/* Errors of the connection are not reported here: the next receive shows them. */
void wire_client_send(struct wire_client *client, const void *bytes, size_t len);
void wire_client_send_frame(struct wire_client *client, const struct frame *frame, const void *payload, size_t len);
void wire_client_send_message(struct wire_client *client, const struct message *message);
/* One frame with its payload, or what came instead. */
enum wire_event wire_client_receive(struct wire_client *client, struct frame *ret);
/* The message in the frame received last; false: cannot be unpacked. */
bool wire_client_message(struct wire_client *client, const struct frame *frame, struct message *ret);

#endif
