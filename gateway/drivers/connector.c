/* Makes connections: resolve, connect to each address in turn, transport, letter. One attempt a lane; a newer request
 * replaces an older one. On no request's path. Knows libev and sockets, neither frames nor the ring. */
#include "gateway/drivers/connector.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/net.h"
#include "gateway/drivers/connector_resolve.h"
#include "gateway/drivers/letters.h"
#include "gateway/drivers/transport.h"

#define POST_RETRY_S 0.05

/* IDLE -> RESOLVING -> CONNECTING -> SHAKING -> (POSTING ->) IDLE; any but IDLE may fail. POSTING: the data thread's
 * mailbox was full, the result is kept. */
enum attempt_state { ATTEMPT_IDLE, ATTEMPT_RESOLVING, ATTEMPT_CONNECTING, ATTEMPT_SHAKING, ATTEMPT_POSTING };

struct attempt {
	struct connector *connector;
	enum attempt_state state;
	uint32_t serial;    /* tells answers of the resolver apart */
	uint32_t lane_word; /* of the letter */
	int fd;
	struct addrinfo *addresses, *next;
	struct ev_io writable;
	struct ev_timer timer;
	struct transport transport;
	struct letter result;
	struct err err; /* of the address tried last */
};

struct connector {
	struct connector_options options;
	struct ev_loop *loop;
	struct mailbox *to_data;
	struct resolver *resolver;
	unsigned leg_count;
	char (*leg_addresses)[ADDRESS_CHARS_MAX + 1];
	struct attempt *attempts; /* leg * LANE_COUNT + lane */
};

void connector_options_default(struct connector_options *ret)
{
	*ret = (struct connector_options){.timeout_ms = 3000};
}

static unsigned attempt_index(const struct attempt *attempt)
{
	return (unsigned)(attempt - attempt->connector->attempts);
}

static const char *attempt_address(const struct attempt *attempt)
{
	return attempt->connector->leg_addresses[attempt_index(attempt) / LANE_COUNT];
}

static void attempt_reset(struct attempt *attempt)
{
	struct ev_loop *loop = attempt->connector->loop;

	ev_io_stop(loop, &attempt->writable);
	ev_timer_stop(loop, &attempt->timer);
	if (attempt->state == ATTEMPT_SHAKING)
		transport_cancel(&attempt->transport);
	if (attempt->state == ATTEMPT_POSTING && attempt->result.fd >= 0)
		close(attempt->result.fd);
	if (attempt->state == ATTEMPT_POSTING)
		free(attempt->result.data);
	if (attempt->addresses)
		freeaddrinfo(attempt->addresses);
	attempt->addresses = attempt->next = NULL;
	if (attempt->fd >= 0)
		close(attempt->fd);
	attempt->fd = -1;
	attempt->state = ATTEMPT_IDLE;
}

/* The result must not get lost: the data thread waits for it. A full mailbox is tried again. */
static void attempt_post(struct attempt *attempt)
{
	if (mailbox_post(attempt->connector->to_data, &attempt->result)) {
		attempt->state = ATTEMPT_POSTING;
		ev_timer_set(&attempt->timer, POST_RETRY_S, 0.);
		ev_timer_start(attempt->connector->loop, &attempt->timer);
		return;
	}
	attempt->state = ATTEMPT_IDLE;
}

static void attempt_fail(struct attempt *attempt)
{
	struct err *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = attempt->err;
	attempt_reset(attempt);
	attempt->result = (struct letter){
		.kind = LETTER_LANE_FAILED,
		.a = attempt_index(attempt) / LANE_COUNT,
		.b = attempt->lane_word,
		.fd = -1,
		.data = copy,
	};
	attempt_post(attempt);
}

static void attempt_succeed(struct attempt *attempt)
{
	int fd = attempt->fd;

	attempt->fd = -1;
	attempt_reset(attempt);
	attempt->result = (struct letter){
		.kind = LETTER_LANE_READY,
		.a = attempt_index(attempt) / LANE_COUNT,
		.b = attempt->lane_word,
		.fd = fd,
	};
	attempt_post(attempt);
}

static void on_transport(void *ctx, int error, const char *reason)
{
	struct attempt *attempt = ctx;

	if (!error) {
		attempt_succeed(attempt);
		return;
	}
	err_set(&attempt->err, error, "%s: %s", attempt_address(attempt), reason);
	attempt_fail(attempt);
}

static void attempt_shake(struct attempt *attempt)
{
	ev_io_stop(attempt->connector->loop, &attempt->writable);
	attempt->state = ATTEMPT_SHAKING;
	transport_start(&attempt->transport, attempt->connector->loop, attempt->fd, on_transport, attempt);
}

/* 0: under way or done. */
static int connect_to(struct attempt *attempt, const struct addrinfo *address)
{
	struct net_address target = {.len = address->ai_addrlen};

	memcpy(&target.storage, address->ai_addr, address->ai_addrlen);
	return net_connect_start(&target, &attempt->fd, &attempt->err);
}

static void attempt_refused(struct attempt *attempt, int error)
{
	err_set(&attempt->err, error, "%s: no connection: %s", attempt_address(attempt), strerror(-error));
	ev_io_stop(attempt->connector->loop, &attempt->writable);
	close(attempt->fd);
	attempt->fd = -1;
}

/* The next address that does not fail at once; without one the attempt has failed. */
static void attempt_next_address(struct attempt *attempt)
{
	while (attempt->next) {
		const struct addrinfo *address = attempt->next;

		attempt->next = address->ai_next;
		if (connect_to(attempt, address))
			continue;
		ev_io_set(&attempt->writable, attempt->fd, EV_WRITE);
		ev_io_start(attempt->connector->loop, &attempt->writable);
		return;
	}
	attempt_fail(attempt);
}

static void on_writable(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct attempt *attempt = watcher->data;
	int error = net_connect_result(attempt->fd);

	if (!error) {
		attempt_shake(attempt);
		return;
	}
	attempt_refused(attempt, error);
	attempt_next_address(attempt);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct attempt *attempt = timer->data;

	if (attempt->state == ATTEMPT_POSTING) {
		attempt_post(attempt);
		return;
	}
	err_set(&attempt->err, -ETIMEDOUT, "%s: no connection within %u ms", attempt_address(attempt),
		attempt->connector->options.timeout_ms);
	attempt_fail(attempt);
}

static uint64_t attempt_token(const struct attempt *attempt)
{
	return (uint64_t)attempt->serial << 32 | attempt_index(attempt);
}

static void on_resolved(void *ctx, uint64_t token, struct addrinfo *list, const struct err *error)
{
	struct connector *connector = ctx;
	struct attempt *attempt = &connector->attempts[(uint32_t)token];

	if (attempt->state != ATTEMPT_RESOLVING || attempt_token(attempt) != token) {
		if (list)
			freeaddrinfo(list);
		return;
	}
	attempt->err = *error;
	attempt->addresses = attempt->next = list;
	attempt->state = ATTEMPT_CONNECTING;
	attempt_next_address(attempt);
}

void connector_connect(struct connector *connector, const struct letter *letter)
{
	struct attempt *attempt;

	assert(letter->a < connector->leg_count);
	attempt = &connector->attempts[letter->a * LANE_COUNT + (unsigned)letter_lane_of(letter->b)];
	attempt_reset(attempt);
	attempt->serial++;
	attempt->lane_word = letter->b;
	attempt->state = ATTEMPT_RESOLVING;
	ev_timer_set(&attempt->timer, connector->options.timeout_ms / 1000., 0.);
	ev_timer_start(connector->loop, &attempt->timer);
	resolver_ask(connector->resolver, attempt_address(attempt), attempt_token(attempt));
}

/* Legs are numbered as in gateway/core/engine.h: all voters, set by set. */
static void addresses_copy(struct connector *connector, const struct volume_spec *spec)
{
	for (unsigned set = 0; set < spec->set_count; set++) {
		for (unsigned i = 0; i < spec->sets[set].replica_count; i++) {
			const struct replica_spec *replica = &spec->sets[set].replicas[i];

			if (connector->leg_count < LEG_COUNT_MAX)
				memcpy(connector->leg_addresses[connector->leg_count++], replica->address,
				       sizeof(replica->address));
		}
	}
}

static void attempt_init(struct attempt *attempt, struct connector *connector)
{
	attempt->connector = connector;
	attempt->fd = -1;
	ev_io_init(&attempt->writable, on_writable, -1, EV_WRITE);
	attempt->writable.data = attempt;
	ev_timer_init(&attempt->timer, on_timer, 0., 0.);
	attempt->timer.data = attempt;
}

struct connector *connector_new(const struct connector_options *options, const struct volume_spec *spec,
				struct ev_loop *loop, struct mailbox *to_data, struct err *err)
{
	struct connector *connector = calloc(1, sizeof(*connector));

	if (connector) {
		connector->leg_addresses = calloc(LEG_COUNT_MAX, sizeof(*connector->leg_addresses));
		connector->attempts = calloc(LEG_COUNT_MAX * LANE_COUNT, sizeof(*connector->attempts));
	}
	if (!connector || !connector->leg_addresses || !connector->attempts) {
		err_set(err, -ENOMEM, "connections: no memory");
		connector_free(connector);
		return NULL;
	}
	connector->options = *options;
	connector->loop = loop;
	connector->to_data = to_data;
	for (unsigned i = 0; i < LEG_COUNT_MAX * LANE_COUNT; i++)
		attempt_init(&connector->attempts[i], connector);
	addresses_copy(connector, spec);
	connector->resolver = resolver_new(loop, on_resolved, connector, err);
	if (!connector->resolver) {
		connector_free(connector);
		return NULL;
	}
	return connector;
}

void connector_free(struct connector *connector)
{
	if (!connector)
		return;
	for (unsigned i = 0; connector->resolver && i < LEG_COUNT_MAX * LANE_COUNT; i++)
		attempt_reset(&connector->attempts[i]);
	resolver_free(connector->resolver);
	free(connector->attempts);
	free(connector->leg_addresses);
	free(connector);
}
