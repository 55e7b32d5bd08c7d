/* Names only. What a name means is where FAILPOINT() stands. */
#include "tests/drill/points.h"

#include "common/compiler.h"

const struct point gateway_points[] = {
	/* attach */
	{"sends.HELLO", 6},
	{"hears.WELCOME", 6},
	{"sends.PROBE", 4},
	{"hears.STATE", 8},
	{"sends.PROMISE", 4},
	{"sends.LIST_REGIONS", 4},
	{"hears.REGIONS", 6},
	{"sends.STAMP", 6},
	{"hears.STAMPED", 6},
	{"sends.ACCEPT", 8},
	{"hears.ACCEPTED", 8},
	{"event.reconciling", 1},
	{"event.reconciled", 1},
	{"sends.OPEN", 4},
	{"hears.OPENED", 4},
	{"sends.JOIN", 4},
	{"hears.JOINED", 4},
	{"sends.FORGET", 3},
	{"hears.FORGOTTEN", 3},
	/* eviction and rejoin: a replica is lost while it is armed */
	{"event.evicting", 2},
	{"event.evicted", 2},
	{"event.rejoining", 2},
	{"sends.STAMPED_REGIONS", 4},
	{"sends.DIGEST", 8},
	{"hears.DIGESTED", 8},
	{"event.rejoined", 2},
	{"event.suspended", 1},
	{"sends.HEARTBEAT", 12},
	{"hears.BEAT", 12},
	/* requests */
	{"completes.request", 300},
};
const unsigned gateway_point_count = ARRAY_COUNT(gateway_points);

const struct point server_points[] = {
	{"hears.HELLO", 2},	  {"sends.WELCOME", 2},	     {"hears.PROBE", 2},
	{"sends.STATE", 4},	  {"hears.PROMISE", 2},	     {"stores.superblock", 6},
	{"stored.superblock", 6}, {"hears.ACCEPT", 4},	     {"sends.ACCEPTED", 4},
	{"hears.OPEN", 2},	  {"sends.OPENED", 2},	     {"hears.JOIN", 2},
	{"sends.JOINED", 2},	  {"hears.LIST_REGIONS", 2}, {"hears.STAMPED_REGIONS", 2},
	{"sends.REGIONS", 4},	  {"hears.STAMP", 4},	     {"stores.stamps", 8},
	{"stored.stamps", 8},	  {"sends.STAMPED", 4},	     {"hears.DIGEST", 8},
	{"stored.digest", 8},	  {"sends.DIGESTED", 8},     {"hears.FORGET", 1},
	{"sends.FORGOTTEN", 1},	  {"hears.HEARTBEAT", 8},    {"sends.BEAT", 8},
	{"stores.write", 200},	  {"stored.write", 200},     {"stores.sync", 10},
	{"stored.sync", 10},	  {"stored.punch", 10},	     {"stored.zero", 10},
	{"stores.read", 100},	  {"replies.WRITE", 200},
};
const unsigned server_point_count = ARRAY_COUNT(server_points);
