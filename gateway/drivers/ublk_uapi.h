/* The kernel's interface of ublk, as far as it is used here: numbers and structs of include/uapi/linux/ublk_cmd.h,
 * Linux 7.3. Kept here because the header of Debian 12 is that of 6.1. Names are the kernel's. */
#ifndef GATEWAY_DRIVERS_UBLK_UAPI_H
#define GATEWAY_DRIVERS_UBLK_UAPI_H

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* Control commands, on /dev/ublk-control, in 128-byte SQEs. */
struct ublksrv_ctrl_cmd {
	uint32_t dev_id;
	uint16_t queue_id; /* UINT16_MAX: not about a queue */
	uint16_t len;
	uint64_t addr;
	uint64_t data[1];
	uint16_t dev_path_len;
	uint16_t pad;
	uint32_t reserved;
};
static_assert(sizeof(struct ublksrv_ctrl_cmd) == 32, "the ioctl numbers contain the size");

#define UBLK_U_CMD_ADD_DEV _IOWR('u', 0x04, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_DEL_DEV _IOWR('u', 0x05, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_DEV _IOWR('u', 0x06, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_STOP_DEV _IOWR('u', 0x07, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_SET_PARAMS _IOWR('u', 0x08, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_GET_DEV_INFO _IOR('u', 0x02, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_GET_FEATURES _IOR('u', 0x13, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_GET_PARAMS _IOR('u', 0x09, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_START_USER_RECOVERY _IOWR('u', 0x10, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_END_USER_RECOVERY _IOWR('u', 0x11, struct ublksrv_ctrl_cmd)
#define UBLK_U_CMD_TRY_STOP_DEV _IOWR('u', 0x17, struct ublksrv_ctrl_cmd)

enum ublk_dev_state { UBLK_S_DEV_DEAD = 0, UBLK_S_DEV_LIVE = 1, UBLK_S_DEV_QUIESCED = 2, UBLK_S_DEV_FAIL_IO = 3 };

struct ublksrv_ctrl_dev_info {
	uint16_t nr_hw_queues;
	uint16_t queue_depth;
	uint16_t state;
	uint16_t pad0;
	uint32_t max_io_buf_bytes;
	uint32_t dev_id;
	int32_t ublksrv_pid;
	uint32_t pad1;
	uint64_t flags;
	uint64_t ublksrv_flags; /* ours; the kernel hands them back */
	uint32_t owner_uid;
	uint32_t owner_gid;
	uint64_t reserved1;
	uint64_t reserved2;
};
static_assert(sizeof(struct ublksrv_ctrl_dev_info) == 64, "ublk_cmd.h");

#define UBLK_F_SUPPORT_ZERO_COPY (1ull << 0)
#define UBLK_F_USER_RECOVERY (1ull << 3)
#define UBLK_F_USER_RECOVERY_REISSUE (1ull << 4)
#define UBLK_F_CMD_IOCTL_ENCODE (1ull << 6)
#define UBLK_F_USER_COPY (1ull << 7)
#define UBLK_F_UPDATE_SIZE (1ull << 10)
#define UBLK_F_AUTO_BUF_REG (1ull << 11)
#define UBLK_F_QUIESCE (1ull << 12)
#define UBLK_F_SAFE_STOP_DEV (1ull << 17)
#define UBLK_F_NO_AUTO_PART_SCAN (1ull << 18)

/* Parameters; `len` says how much of the kernel's larger struct is given. */
#define UBLK_ATTR_VOLATILE_CACHE (1u << 2)
#define UBLK_ATTR_FUA (1u << 3)
#define UBLK_PARAM_TYPE_BASIC (1u << 0)
#define UBLK_PARAM_TYPE_DISCARD (1u << 1)

struct ublk_param_basic {
	uint32_t attrs;
	uint8_t logical_bs_shift;
	uint8_t physical_bs_shift;
	uint8_t io_opt_shift;
	uint8_t io_min_shift;
	uint32_t max_sectors;
	uint32_t chunk_sectors;
	uint64_t dev_sectors;
	uint64_t virt_boundary_mask;
};

struct ublk_param_discard {
	uint32_t discard_alignment;
	uint32_t discard_granularity;
	uint32_t max_discard_sectors;
	uint32_t max_write_zeroes_sectors;
	uint16_t max_discard_segments;
	uint16_t reserved0;
};

struct ublk_params {
	uint32_t len;
	uint32_t types;
	struct ublk_param_basic basic;
	struct ublk_param_discard discard;
};
#define UBLK_PARAMS_BYTES (offsetof(struct ublk_params, discard) + sizeof(struct ublk_param_discard))
static_assert(sizeof(struct ublk_param_basic) == 32 && sizeof(struct ublk_param_discard) == 20, "ublk_cmd.h");

/* I/O commands, on /dev/ublkcN, in ordinary SQEs. */
struct ublksrv_io_cmd {
	uint16_t q_id;
	uint16_t tag;
	int32_t result; /* COMMIT: bytes or -errno */
	uint64_t addr;	/* FETCH, COMMIT: where the kernel copies payloads to; 0 with zero copy */
};
static_assert(sizeof(struct ublksrv_io_cmd) == 16, "fits the command area of a 64-byte SQE");

#define UBLK_U_IO_FETCH_REQ _IOWR('u', 0x20, struct ublksrv_io_cmd)
#define UBLK_U_IO_COMMIT_AND_FETCH_REQ _IOWR('u', 0x21, struct ublksrv_io_cmd)

#define UBLK_IO_RES_OK 0
#define UBLK_IO_RES_ABORT (-ENODEV)

enum ublk_io_op {
	UBLK_IO_OP_READ = 0,
	UBLK_IO_OP_WRITE = 1,
	UBLK_IO_OP_FLUSH = 2,
	UBLK_IO_OP_DISCARD = 3,
	UBLK_IO_OP_WRITE_ZEROES = 5,
};

/* In op_flags, unshifted. */
#define UBLK_IO_OP_MASK 0xffu
#define UBLK_IO_F_META (1u << 11)
#define UBLK_IO_F_FUA (1u << 13)
#define UBLK_IO_F_NOUNMAP (1u << 15)
#define UBLK_IO_F_NEED_REG_BUF (1u << 17)

/* One per tag, in memory that the kernel writes and we map read-only. */
struct ublksrv_io_desc {
	uint32_t op_flags;
	uint32_t nr_sectors;
	uint64_t start_sector;
	uint64_t addr;
};
static_assert(sizeof(struct ublksrv_io_desc) == 24, "ublk_cmd.h");

/* sqe->addr of FETCH and COMMIT with AUTO_BUF_REG: the place in the buffer table for the tag's next request. */
#define UBLK_AUTO_BUF_REG_FALLBACK (1u << 0)
static inline uint64_t ublk_auto_buf_reg(uint16_t index)
{
	return (uint64_t)UBLK_AUTO_BUF_REG_FALLBACK << 16 | index;
}

/* Offset on /dev/ublkcN of a request's payload, for pread and pwrite (UBLK_F_USER_COPY). */
static inline int64_t ublk_payload_pos(unsigned queue, unsigned tag, uint32_t offset)
{
	return (int64_t)(0x80000000ull + ((uint64_t)queue << 41) + ((uint64_t)tag << 25) + offset);
}

#define UBLK_SECTOR_SHIFT 9

#endif
