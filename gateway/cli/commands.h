/* Every command of `lockstep`; main.c has the table. One file each, cmd_*.c. */
#ifndef GATEWAY_CLI_COMMANDS_H
#define GATEWAY_CLI_COMMANDS_H

#include "gateway/cli/cli.h"

extern const struct command command_volume_create;
extern const struct command command_volume_list;
extern const struct command command_volume_show;
extern const struct command command_volume_attach;
extern const struct command command_volume_detach;
extern const struct command command_volume_delete;
extern const struct command command_volume_verify;
extern const struct command command_replica_list;
extern const struct command command_replica_show;
extern const struct command command_replica_check;
extern const struct command command_replica_replace;
extern const struct command command_status;
extern const struct command command_events;
extern const struct command command_bench;
extern const struct command command_version;

#endif
