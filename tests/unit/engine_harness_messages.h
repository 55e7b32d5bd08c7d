/* Between the two files of the engine's harness. */
#ifndef TESTS_UNIT_ENGINE_HARNESS_MESSAGES_H
#define TESTS_UNIT_ENGINE_HARNESS_MESSAGES_H

#include "tests/unit/engine_harness.h"

/* Answers the first control message that may be answered. False: there is none. */
bool harness_pump_message(struct harness *harness);
/* The stamp that a frame asks for is on the replica. */
void harness_stamp_frame(struct harness_replica *replica, const struct frame *frame);

#endif
