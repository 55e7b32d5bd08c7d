/* Operations and flags of the kernel into those of the engine. Knows no queue and no buffer.
 * First step of a block request: between its FETCH completion and engine_submit(). */
#include "gateway/drivers/ublk_request.h"

#include <errno.h>

static int decode_op(uint32_t op_flags, enum request_op *ret)
{
	switch (op_flags & UBLK_IO_OP_MASK) {
	case UBLK_IO_OP_READ:
		*ret = REQUEST_READ;
		return 0;
	case UBLK_IO_OP_WRITE:
		*ret = REQUEST_WRITE;
		return 0;
	case UBLK_IO_OP_FLUSH:
		*ret = REQUEST_FLUSH;
		return 0;
	case UBLK_IO_OP_DISCARD:
		*ret = REQUEST_DISCARD;
		return 0;
	case UBLK_IO_OP_WRITE_ZEROES:
		*ret = REQUEST_ZEROES;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static unsigned decode_flags(uint32_t op_flags)
{
	unsigned flags = 0;

	flags |= op_flags & UBLK_IO_F_FUA ? REQUEST_F_FUA : 0;
	flags |= op_flags & UBLK_IO_F_META ? REQUEST_F_META : 0;
	flags |= op_flags & UBLK_IO_F_NOUNMAP ? REQUEST_F_NO_UNMAP : 0;
	return flags;
}

int ublk_request_decode(const struct ublksrv_io_desc *desc, unsigned tag, struct request *ret)
{
	struct request request = {.slot = tag, .flags = decode_flags(desc->op_flags)};
	int rc = decode_op(desc->op_flags, &request.op);

	if (rc)
		return rc;
	if (request.op != REQUEST_FLUSH) {
		request.offset = desc->start_sector << UBLK_SECTOR_SHIFT;
		request.length = (uint64_t)desc->nr_sectors << UBLK_SECTOR_SHIFT;
	}
	*ret = request;
	return 0;
}
