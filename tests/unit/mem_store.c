/* The store in memory. Does nothing by itself: every completion is a call of the test. */
#include "tests/unit/mem_store.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "proto/message.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/superblock.h"

static void submit(struct store *store, struct store_op *op)
{
	struct mem_store *mem = container_of(store, struct mem_store, store);

	list_init(&op->node);
	list_add_tail(&mem->pending, &op->node);
	mem->pending_count++;
}

static struct io_buf *buf_get(struct store *store, uint32_t bytes)
{
	struct mem_store *mem = container_of(store, struct mem_store, store);
	struct io_buf *buf;

	if (mem->bufs_out == mem->buf_limit)
		return NULL;
	mem->bufs_out++;
	buf = malloc(sizeof(*buf));
	buf->data = malloc(bytes);
	buf->cap = bytes;
	return buf;
}

static void buf_put(struct store *store, struct io_buf *buf)
{
	container_of(store, struct mem_store, store)->bufs_out--;
	free(buf->data);
	free(buf);
}

static const struct store_ops ops = {.submit = submit, .buf_get = buf_get, .buf_put = buf_put};

void mem_store_init(struct mem_store *mem, uint64_t set_bytes)
{
	*mem = (struct mem_store){.store.ops = &ops, .data_bytes = set_bytes, .buf_limit = 64};
	list_init(&mem->pending);
	mem->data = calloc(1, set_bytes);
	mem->superblock = calloc(1, SUPERBLOCK_FILE_BYTES);
	mem->stamps_bytes = stamps_file_bytes(stamps_region_count(set_bytes));
	mem->stamps = calloc(1, mem->stamps_bytes);
}

void mem_store_fini(struct mem_store *mem)
{
	free(mem->data);
	free(mem->superblock);
	free(mem->stamps);
}

struct store_op *mem_store_pending(struct mem_store *mem, unsigned nth)
{
	struct list *it, *next;

	list_for_each (it, next, &mem->pending)
		if (nth-- == 0)
			return container_of(it, struct store_op, node);
	return NULL;
}

struct store_op *mem_store_find(struct mem_store *mem, enum store_kind kind)
{
	struct list *it, *next;

	list_for_each (it, next, &mem->pending) {
		struct store_op *op = container_of(it, struct store_op, node);

		if (op->kind == kind)
			return op;
	}
	return NULL;
}

/* As the file driver does it: zeros beyond the end, half of SHA-256. */
static void digest(const struct mem_store *mem, struct store_op *op)
{
	static uint8_t piece[DIGEST_PIECE_BYTES];

	for (uint64_t at = 0; at < op->length; at += DIGEST_PIECE_BYTES) {
		uint64_t offset = op->offset + at, left = offset < mem->data_bytes ? mem->data_bytes - offset : 0;
		uint64_t want = op->length - at < DIGEST_PIECE_BYTES ? op->length - at : DIGEST_PIECE_BYTES;
		uint8_t whole[EVP_MAX_MD_SIZE];

		memset(piece, 0, sizeof(piece));
		memcpy(piece, mem->data + (left ? offset : 0), want < left ? want : left);
		if (!EVP_Digest(piece, want, whole, NULL, EVP_sha256(), NULL))
			abort();
		memcpy(op->data + at / DIGEST_PIECE_BYTES * DIGEST_BYTES, whole, DIGEST_BYTES);
	}
}

static void perform(struct mem_store *mem, struct store_op *op)
{
	uint64_t left = op->offset < mem->data_bytes ? mem->data_bytes - op->offset : 0;

	switch (op->kind) {
	case STORE_READ:
		op->bytes = op->length < left ? op->length : left;
		memcpy(op->data, mem->data + op->offset, op->bytes);
		break;
	case STORE_DIGEST:
		digest(mem, op);
		break;
	case STORE_WRITE:
		memcpy(mem->data + op->offset, op->data, op->length);
		break;
	case STORE_SYNC:
		mem->sync_count++;
		break;
	case STORE_PUNCH:
	case STORE_ZERO:
		memset(mem->data + op->offset, 0, op->length);
		break;
	case STORE_WRITE_SUPERBLOCK:
		memcpy(mem->superblock + op->offset, op->data, op->length);
		break;
	case STORE_WRITE_STAMPS:
		memcpy(mem->stamps + op->offset, op->data, op->length);
		break;
	}
	mem->durable_count += op->durable;
}

void mem_store_complete(struct mem_store *mem, struct store_op *op, int error)
{
	list_del(&op->node);
	mem->pending_count--;
	op->error = error;
	op->bytes = 0;
	if (!error)
		perform(mem, op);
	op->done(op);
}

unsigned mem_store_run(struct mem_store *mem)
{
	struct store_op *op;
	unsigned count = 0;

	while ((op = mem_store_pending(mem, 0))) {
		mem_store_complete(mem, op, 0);
		count++;
	}
	return count;
}
