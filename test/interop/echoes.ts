/** Echo requests of the kernel's, each of which has to be answered. */
import type { Namespace } from './helpers.ts'

/** More than any machine takes. */
const SECONDS = '60'

/**
 * Has the kernel send echo requests. Left to itself, ping waits for the last answer no longer than twice what the slowest of the others
 * took, which a busy machine exceeds; with a deadline it goes on until there are as many answers as it was to send.
 * @param count how many of them are to be answered.
 * @param options more arguments of ping, with the address.
 * @returns how many of the first `count` were.
 * @throws Error — an answer came twice, or is not what was sent: with all that ping said.
 */
export async function answered({ run }: Namespace, count: number, ...options: readonly string[]): Promise<number> {
  const { output } = await run('ping', '-c', `${count}`, '-w', SECONDS, ...options)
  if (/DUP|wrong|corrupt|truncated/.test(output)) throw new Error(output)
  const numbers = [...output.matchAll(/ bytes from .*icmp_seq=(\d+) /g)].map(([, number]) => Number(number))
  return new Set(numbers.filter((number) => number <= count)).size
}

/** Has the kernel send echo requests as fast as they are answered, until `count` have been. @returns how many were. */
export async function flooded({ run }: Namespace, count: number, ...options: readonly string[]): Promise<number> {
  const { output } = await run('ping', '-q', '-f', '-c', `${count}`, '-w', SECONDS, ...options)
  return Number(/ (\d+) received/.exec(output)?.[1] ?? 0)
}
