/* Standard input, output and error of a program that was started with some of them closed. */
#ifndef COMMON_STD_STREAMS_H
#define COMMON_STD_STREAMS_H

/* Opens /dev/null in the place of each one that is closed. First thing in main(): otherwise the next file or socket
 * that is opened gets its number, and what is logged or printed goes there. */
void std_streams_open(void);

#endif
