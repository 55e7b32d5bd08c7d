/* What a faultproxy does to the connections that pass it: rules, each from one line of text, each used up when it
 * fired.
 *
 *   cut   up|down BYTE    [how=rst|fin]              break both sides after exactly BYTE bytes of that direction
 *   within up|down NAME FIRST LAST|end [step=1]      break both sides FIRST bytes into the next frame of that type, or
 *                                                    control message of that name; FIRST+step bytes into the one after,
 *                                                    and so on; in turns by reset and by end of file. Frames shorter
 *                                                    than that pass; end: ... and the first that does ends the rule
 *   flip  up|down BYTE    [mask=0x01]                xor one byte
 *   frame up|down TYPE NTH FIELD=VALUE...            set fields of the NTH frame of that type (from 1); +N and -N are
 *                                                    relative; the header's checksum is made right again
 *   raw   up|down TYPE NTH BYTE=VALUE                set a byte of that header and leave the checksum wrong
 *   control up|down KIND  garbage|badcrc|as=KIND     replace the next control message of that kind (number of
 * message.h) and each takes lane=main|bulk|admin and times=N (default any lane, once). Directions are the client's: up
 * is gateway to replica. TYPE is write, read, flush, discard, zeroes, ping, control, batch; in direction down their
 * replies. */
#ifndef TESTS_NATIVE_PROXY_RULE_H
#define TESTS_NATIVE_PROXY_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "proto/frame.h"
#include "proto/message.h"

enum direction { UP = 0, DOWN = 1, DIRECTION_COUNT };
enum rule_kind { RULE_CUT, RULE_WITHIN, RULE_FLIP, RULE_FRAME, RULE_RAW, RULE_CONTROL };
enum control_fault { CONTROL_GARBAGE, CONTROL_BADCRC, CONTROL_AS };

#define RULE_FIELDS_MAX 4u

struct rule_field {
	char name[16];
	char sign; /* '+', '-' or 0 */
	uint64_t value;
};

struct rule {
	enum rule_kind kind;
	enum direction direction;
	unsigned role;	     /* enum hello_role, 0: any */
	unsigned times_left; /* 0: used up */
	uint64_t at; /* CUT, FLIP: byte; FRAME, RAW: how many more frames of the type until it fires; WITHIN: bytes of
			the frame */
	uint8_t mask;
	bool fin;
	uint8_t frame_type; /* without FRAME_REPLY; WITHIN: 0 for a control message */
	bool until_end;	    /* WITHIN; then `last` is not known */
	uint64_t last, step;
	unsigned field_count;
	struct rule_field fields[RULE_FIELDS_MAX];
	unsigned message_kind, as_kind;
	enum control_fault fault;
	uint64_t nth; /* FRAME, RAW: as given, to count again for the next of `times` */
};

/* 0, or -EINVAL with a sentence in `*ret_why` (static). `line` is cut up. */
int rule_parse(char *line, struct rule *ret, const char **ret_why) must_check;

bool rule_applies(const struct rule *rule, enum rule_kind kind, enum direction direction, unsigned role);

/* FRAME: changes the decoded header. 0 or -EINVAL for an unknown field name. */
int rule_change_frame(const struct rule *rule, struct frame *frame) must_check;

#endif
