/** Octets for transfers: as good as random, so that nothing lost, doubled or moved goes unseen, and the same every time. */
import { createCipheriv, createHash } from 'node:crypto'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Cleaning } from './helpers.ts'

const BLOCK_OCTETS = 65_536
const ZEROS = Buffer.alloc(BLOCK_OCTETS)

/** The key stream of AES in counter mode. */
function* blocks(): Generator<Buffer, never> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16))
  for (;;) yield cipher.update(ZEROS)
}

/** The payload on its way out, and what has gone so far. */
export interface Sending {
  readonly stream: Readable
  sent(): Received
}

/** The payload for as long as `more` says so, asked with how much there has been. */
export function payload(more: (octets: number) => boolean): Sending {
  const hash = createHash('sha256')
  let octets = 0
  function* blocksAsked(): Generator<Buffer> {
    for (const block of blocks()) {
      if (!more(octets)) return
      octets += block.length
      hash.update(block)
      yield block
    }
  }
  return {
    stream: Readable.from(blocksAsked(), { objectMode: false, highWaterMark: BLOCK_OCTETS }),
    sent: () => ({ octets, hash: hash.copy().digest('hex') }),
  }
}

/** SHA-256 of the first `octets` of the payload, as sha256sum prints it. */
export function payloadHash(octets: number): string {
  const hash = createHash('sha256')
  let left = octets
  for (const block of blocks()) {
    hash.update(left < block.length ? block.subarray(0, left) : block)
    left -= block.length
    if (left <= 0) return hash.digest('hex')
  }
  throw new Error('the payload has no end')
}

/** A folder that goes with the test. */
export function folder(t: Cleaning): string {
  const path = mkdtempSync(join(tmpdir(), 'netstrata-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

/** A file of the payload, which goes with the test. @returns its path. */
export async function payloadFile(t: Cleaning, octets: number): Promise<string> {
  const path = join(folder(t), 'payload')
  await pipeline(payload((written) => written < octets).stream, createWriteStream(path))
  return path
}

/** What came in, by its length and hash. */
export interface Received {
  readonly octets: number
  readonly hash: string
}

/** Takes a stream to its end, and leaves it open: of a socket the other half may still be in use. */
export async function received(stream: Readable): Promise<Received> {
  const hash = createHash('sha256')
  let octets = 0
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    hash.update(chunk)
    octets += chunk.length
  }
  return { octets, hash: hash.digest('hex') }
}
