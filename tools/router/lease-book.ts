/**
 * What the servers of DHCP have given away, for those that come after them: of this process, and, with a file, of the next.
 *
 * The file is text, an object a line, and always whole: it is written anew beside its place, and put there when the disk has it. Changes
 * that come while it is written go into the next writing together. A file that was damaged is read as far as it can be, and
 * kept as FILE.bad: a network without its router is worse than an address that has to be found out to be in use.
 * What is no file of leases at all is left alone.
 */
import { copyFile, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import type { Instant, LeaseEntry } from '../../src/index.ts'
import { parseMac, tryParseAddress } from '../../src/kernel/address.ts'
import { CommandError, EXIT } from '../exit.ts'

/** A lease by a clock that never steps: milliseconds of `performance.now()`. */
interface Kept extends Omit<LeaseEntry, 'until'> {
  readonly endsAt: number
}

const HEADER = JSON.stringify({ format: 'netstrata leases', version: 1 })
/** What ended so long ago is of no use to its client any more. */
const FORGET_MS = 7 * 86_400_000
/** A pool has 65,536 addresses, and a line some 200 octets; with names made for it, 2,500. */
const MOST_OCTETS = 256 << 20
/** Lines that are written or read before others have their turn. */
const LINES_PER_TURN = 1024

const line = z.strictObject({
  link: z.string().min(1),
  address: z.string().refine((text) => tryParseAddress(text)?.isIpv4 === true, 'not an IPv4 address'),
  client: z.string().max(510),
  hardware: z.string().refine((text) => isMac(text), 'not a MAC address'),
  hostName: z.string().max(255),
  state: z.enum(['free', 'leased', 'declined']),
  until: z.iso.datetime(),
})

/** One link's: an address is one client's, and a client has one address. */
class LinkLeases {
  readonly byAddress = new Map<string, Kept>()
  private readonly byClient = new Map<string, Kept>()

  put(lease: Kept): void {
    const { address, client } = lease
    for (const rival of this.rivals(address, client)) this.remove(rival)
    this.byAddress.set(address, lease)
    if (client !== '') this.byClient.set(client, lease)
  }

  /** Those that would go if this came. */
  rivals(address: string, client: string): Kept[] {
    return [this.byAddress.get(address), client === '' ? undefined : this.byClient.get(client)].filter(
      (rival) => rival !== undefined,
    )
  }

  remove(lease: Kept): void {
    const { address, client } = lease
    if (this.byAddress.get(address) === lease) this.byAddress.delete(address)
    if (this.byClient.get(client) === lease) this.byClient.delete(client)
  }
}

export class LeaseBook {
  /** Undefined: leases end with this process. */
  readonly path: string | undefined
  private readonly tell: (problem: string) => void
  private readonly links = new Map<string, LinkLeases>()
  private opening: Promise<void> | undefined
  private writing: Promise<void> = Promise.resolve()
  private next: Promise<void> | undefined
  private failing = false

  /** @param tell told of what is wrong with the file, a sentence each. */
  constructor(path?: string, tell: (problem: string) => void = () => {}) {
    this.path = path
    this.tell = tell
  }

  /**
   * Reads the file, once, and sees whether it can be written.
   * @throws CommandError exit 3 — it is no file of leases. Error EACCES, EIO, … — it cannot be read or written.
   */
  ready(): Promise<void> {
    if (this.path === undefined) return Promise.resolve()
    this.opening ??= this.open(this.path).catch((error: unknown) => {
      this.opening = undefined
      throw error
    })
    return this.opening
  }

  /** @param now of the clock that `until` is by. */
  of(link: string, now: Instant): LeaseEntry[] {
    const at = performance.now()
    const leases = this.links.get(link)?.byAddress.values() ?? []
    return Array.from(leases, ({ endsAt, ...lease }) => ({ ...lease, until: Math.round(now + (endsAt - at) * 1000) }))
  }

  /** Remembers it, but not beyond this process. */
  put(link: string, lease: LeaseEntry, now: Instant): void {
    if (lease.state === 'offered') return
    const { until, ...rest } = lease
    this.leasesOf(link).put({ ...rest, endsAt: performance.now() + (until - now) / 1000 })
  }

  /** Remembers it, and fulfils its promise when the file has it. @throws Error ENOSPC, … — it could not be written. */
  save(link: string, lease: LeaseEntry, now: Instant): Promise<void> {
    this.put(link, lease, now)
    return this.write()
  }

  /** Settles when nothing is being written. */
  async settled(): Promise<void> {
    while (this.next !== undefined) await this.next.catch(() => {})
    await this.writing.catch(() => {})
  }

  private leasesOf(link: string): LinkLeases {
    const leases = this.links.get(link) ?? new LinkLeases()
    this.links.set(link, leases)
    return leases
  }

  private async open(path: string): Promise<void> {
    const text = await textOf(path)
    if (text !== undefined && (await this.read(path, text)) > 0) await copyFile(path, `${path}.bad`)
    await this.write()
  }

  /** @returns how many lines are wrong. */
  private async read(path: string, text: string): Promise<number> {
    const lines = text.split('\n')
    if (text !== '' && lines[0] !== HEADER) {
      const what = `${path} is no file of leases that this version reads: name another, or move it away`
      throw new CommandError(what, EXIT.configuration, 'ERR_CONFIG')
    }
    // A whole file ends with the end of a line.
    const wrong = text === '' ? ['it is empty'] : lines.pop() === '' ? [] : [`line ${lines.length + 1} has no end`]
    for (let at = 1; at < lines.length; at++) {
      const why = this.readLine(lines[at] as string)
      if (why !== undefined) wrong.push(`line ${at + 1}: ${why}`)
      if (at % LINES_PER_TURN === 0) await nextTurn()
    }
    if (wrong.length > 0) {
      const more = wrong.length > 3 ? `; and ${wrong.length - 3} more` : ''
      const kept = 'the leases in them are lost, the others are not'
      this.tell(`${path} is damaged, and kept as ${path}.bad: ${wrong.slice(0, 3).join('; ')}${more}; ${kept}`)
    }
    return wrong.length
  }

  /** @returns what is wrong with it. */
  private readLine(text: string): string | undefined {
    let parsed: z.ZodSafeParseResult<z.infer<typeof line>>
    try {
      parsed = line.safeParse(JSON.parse(text))
    } catch {
      return 'not an object of JSON'
    }
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      return `${issue?.path.join('.')}: ${issue?.message}`
    }
    const { link, until, ...lease } = parsed.data
    const endsAt = performance.now() + Date.parse(until) - Date.now()
    const leases = this.leasesOf(link)
    // Of two for one, which only a hand can have written, that which lasts longer.
    if (leases.rivals(lease.address, lease.client).every((rival) => rival.endsAt <= endsAt))
      leases.put({ ...lease, endsAt })
    return undefined
  }

  private write(): Promise<void> {
    const { path } = this
    if (path === undefined) return Promise.resolve()
    // What is being written now may have begun before this change.
    this.next ??= this.writing
      .catch(() => {})
      .then(() => {
        this.next = undefined
        this.writing = this.writeNow(path)
        return this.writing
      })
    return this.next
  }

  private async writeNow(path: string): Promise<void> {
    try {
      await replaceFile(path, this.lines())
      this.failing = false
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (!this.failing) this.tell(`leases cannot be kept, so none is given: ${reason}`)
      this.failing = true
      throw error
    }
  }

  /** The file, in pieces of some lines each. */
  private *lines(): Generator<string> {
    let piece = `${HEADER}\n`
    let count = 0
    // A clock that was set meanwhile is right for all of them.
    const offset = Date.now() - performance.now()
    for (const [link, leases] of [...this.links]) {
      for (const lease of [...leases.byAddress.values()]) {
        const { endsAt, ...rest } = lease
        if (endsAt < performance.now() - FORGET_MS) leases.remove(lease)
        else piece += `${JSON.stringify({ link, ...rest, until: new Date(endsAt + offset).toISOString() })}\n`
        if (++count % LINES_PER_TURN > 0) continue
        yield piece
        piece = ''
      }
    }
    yield piece
  }
}

/** @returns undefined: there is none. @throws CommandError exit 3 — it cannot be one. Error EACCES, EIO, … */
async function textOf(path: string): Promise<string | undefined> {
  try {
    const status = await stat(path)
    // A device or a FIFO may never end, or begin.
    if (!status.isFile()) throw notOne(path, 'is no ordinary file')
    if (status.size > MOST_OCTETS) throw notOne(path, 'is too large')
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const notOne = (path: string, why: string): CommandError =>
  new CommandError(`${path} ${why}: leases are kept in a file, name another`, EXIT.configuration, 'ERR_CONFIG')

/** Either all of it is there afterwards, on the disk, or what was there before. */
async function replaceFile(path: string, pieces: Iterable<string>): Promise<void> {
  const beside = `${path}.new`
  const file = await open(beside, 'w', 0o600)
  try {
    for (const piece of pieces) await file.appendFile(piece)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(beside, path)
  if (process.platform === 'win32') return
  // The name is in the folder, which has to be on the disk too.
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function isMac(text: string): boolean {
  try {
    parseMac(text)
    return true
  } catch {
    return false
  }
}
