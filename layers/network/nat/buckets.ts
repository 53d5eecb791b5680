/** Buckets of a hash table whose links are the things themselves: chains by `next`. */

/** Puts one before the others of its bucket. */
export function put<Link extends { next: Link | null }>(table: (Link | null)[], bucket: number, link: Link): void {
  link.next = table[bucket] as Link | null
  table[bucket] = link
}

/** A bucket's chain without one of its links. @returns its new head. */
export function without<Link extends { next: Link | null }>(head: Link, gone: Link): Link | null {
  if (head === gone) return gone.next
  let link = head
  while (link.next !== null && link.next !== gone) link = link.next
  if (link.next === gone) link.next = gone.next
  return head
}
