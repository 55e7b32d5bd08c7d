/* What goes wrong in a world, when, and for how long. */
#ifndef TESTS_SIM_FAULT_H
#define TESTS_SIM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct world;

struct faults {
	bool over;	  /* no new ones */
	bool struck;	  /* at least one */
	bool disk_errors; /* some disk has failed an operation on purpose: errors may reach the application */
};

void faults_reset(struct world *world);
void faults_begin(struct world *world);
/* The next one. */
void faults_strike(struct world *world);
/* A fault is over: what kind, and of what. */
void faults_heal(struct world *world, uint64_t kind, uint64_t object);
/* A minority of each set's voters goes, without which it must go on; and comes back. */
void faults_send_away(struct world *world);
/* Still? Another one may have been evicted at the same time, for being slow or a connection that broke before. */
bool faults_can_do_without(struct world *world);
void faults_call_back(struct world *world);
/* All of them are over. */
void faults_heal_all(struct world *world);

#endif
