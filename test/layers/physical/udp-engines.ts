/** What the tests of both engines of a UDP tunnel need. */
import { datagramCalls } from '../../../layers/physical/libc.ts'
import { NetError } from '../../../src/kernel/errors.ts'

/** Why there is no native engine here, or false. */
export function nativeMissing(): string | false {
  try {
    datagramCalls('Native UDP tunnels')
    return false
  } catch (error) {
    if (NetError.is(error)) return error.message
    throw error
  }
}

/** Waits for what must come true: the loopback of the machine has no virtual time. @throws Error — it did not. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 12_000; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`did not happen in a minute: ${what}`)
}
