/* One gateway process from its options to its exit code. Main thread. */
#ifndef GATEWAY_DRIVERS_GATEWAY_H
#define GATEWAY_DRIVERS_GATEWAY_H

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/drivers/opts.h"

/* Serves the volume until it is detached. `err` says why, unless GATEWAY_EXIT_OK. */
enum gateway_exit gateway_serve(const struct opts *opts, struct err *err) must_check;

/* --delete-device: what a killed gateway left. */
enum gateway_exit gateway_delete_device(const struct opts *opts, struct err *err) must_check;

#endif
