/* Is everything that should run still running, does the application get answers, and have the replicas come together
 * again? Every wait has a bound; what fails ends the drill with a sentence. */
#ifndef TESTS_DRILL_WATCH_H
#define TESTS_DRILL_WATCH_H

#include "tests/drill/cluster.h"

/* No process has ended by itself. */
void watch_alive(struct cluster *cluster);
/* Some requests more are answered. */
void watch_progress(struct cluster *cluster);
/* Every replica has stored one and the same config of its set, and is in sync by it. Gateways whose deadline is too
 * short for this machine, so that replicas leave faster than they return, are started again with a longer one. */
void watch_converged(struct cluster *cluster);

/* Paths of the data files of a set: how many were found, at most DRILL_SERVERS_MAX. */
unsigned watch_data_files(const struct cluster *cluster, unsigned set, char paths[][512]);

#endif
