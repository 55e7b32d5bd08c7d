/* Intrusive doubly linked list with a head node. Nodes belong to at most one list; a node not on a list is
 * self-linked (list_node_init), so list_del() twice is harmless and list_is_linked() is exact. */
#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node)
{
	node->next = node;
	node->prev = node;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *node)
{
	return node->next != node;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_first(head, type, member) (list_is_empty(head) ? NULL : container_of((head)->next, type, member))

/* The current node may be unlinked inside the loop; its neighbours may not. */
#define list_for_each(it, next_it, head)                                                                               \
	for ((it) = (head)->next, (next_it) = (it)->next; (it) != (head); (it) = (next_it), (next_it) = (it)->next)

#endif
