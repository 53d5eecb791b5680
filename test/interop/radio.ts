/**
 * A radio link without radios: two direwolfs, each a TNC, whose modems hear each other as sound. ALSA's `file` plugin gives
 * us what one plays, and the other hears it on its standard input.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fraction, SeededRandom } from '../../src/kernel/random.ts'
import { freePorts } from '../tools/running.ts'
import type { Cleaning } from './helpers.ts'
import { folder } from './payload.ts'

const BAUD = 38_400
const RATE = 192_000
const SAMPLE_OCTETS = 2
/** A descriptor of each TNC that its sound goes to. */
const SOUND = 3
/** How long nothing comes before it is over: a busy machine may pause within a frame. */
const SILENCE_MS = 100
const SILENCE = Buffer.alloc((RATE * SAMPLE_OCTETS * SILENCE_MS) / 1000)
/** A burst spoils the frame it falls into, and no other. */
const BURST_OCTETS = 200

export interface Tnc {
  /** Where it speaks KISS, and AGW, over TCP. */
  readonly kissPort: number
  readonly agwPort: number
}

/**
 * Starts two that hear each other, each all the time: the channel has two frequencies. They end with the test.
 * @param bursts how many bursts of noise there are in a second of sound; each spoils a frame.
 * @param commands more lines for their configuration.
 */
export async function radio(t: Cleaning, bursts: number, ...commands: readonly string[]): Promise<[Tnc, Tnc]> {
  const home = folder(t)
  const sound = join(home, 'asound.conf')
  // What is played goes to the descriptor, at once; the modem itself waits as long as it would take.
  writeFileSync(
    sound,
    `</usr/share/alsa/alsa.conf>\npcm.air { type file slave.pcm "null" file ${SOUND} format "raw" }\n`,
  )
  const ports = await freePorts(4)
  const tncs = [0, 1].map((i) => ({ kissPort: ports[2 * i] as number, agwPort: ports[2 * i + 1] as number }))
  const modems = tncs.map((tnc, i) => {
    const configuration = join(home, `${i}.conf`)
    writeFileSync(configuration, [...configurationOf(tnc), ...commands, ''].join('\n'))
    const modem = spawn('direwolf', ['-t', '0', '-r', `${RATE}`, '-c', configuration, '-'], {
      cwd: home,
      env: { ...process.env, ALSA_CONFIG_PATH: sound, HOME: home },
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    })
    t.teardown(() => ended(modem))
    return modem
  }) as [ChildProcess, ChildProcess]
  const [one, other] = modems
  air(t, one, other, bursts)
  air(t, other, one, bursts)
  // Each door has a thread of its own.
  const doors = [/Ready to accept KISS/, /Ready to accept AGW/]
  await Promise.all(modems.flatMap((modem) => doors.map((door) => said(modem, door))))
  return tncs as [Tnc, Tnc]
}

function configurationOf({ kissPort, agwPort }: Tnc): string[] {
  return [
    'ADEVICE stdin air',
    'ACHANNELS 1',
    'CHANNEL 0',
    'MYCALL N0CALL',
    `MODEM ${BAUD}`,
    // In units of 10 ms.
    ...['FULLDUP ON', 'DWAIT 0', 'SLOTTIME 1', 'PERSIST 255', 'TXDELAY 4', 'TXTAIL 2'],
    ...['FRACK 2', 'RETRY 10', 'PACLEN 256', 'MAXFRAME 7', 'EMAXFRAME 16'],
    `KISSPORT ${kissPort}`,
    `AGWPORT ${agwPort}`,
  ]
}

/** Carries what one plays to the other, and a silence once that is over, which brings the last of it through the filters. */
function air(t: Cleaning, from: ChildProcess, to: ChildProcess, bursts: number): void {
  const source = from.stdio[SOUND] as Readable
  const sink = to.stdin as Writable
  const spoil = noise(bursts)
  let over: NodeJS.Timeout | undefined
  sink.on('error', () => {}) // It has ended.
  source.on('data', (sound: Buffer) => {
    clearTimeout(over)
    spoil(sound)
    sink.write(sound)
    over = setTimeout(() => sink.write(SILENCE), SILENCE_MS)
  })
  t.teardown(() => clearTimeout(over))
}

/** Puts bursts into sound, so many a second, the same every time: what is sent again must not meet them again. */
function noise(bursts: number): (sound: Buffer) => void {
  const random = new SeededRandom([1, 2, 3, 4])
  const gap = (): number => Math.round(((2 * RATE * SAMPLE_OCTETS) / bursts) * fraction(random))
  let next = bursts === 0 ? Number.POSITIVE_INFINITY : gap()
  return (sound) => {
    for (; next < sound.length; next += BURST_OCTETS + gap())
      for (let i = next; i < Math.min(next + BURST_OCTETS, sound.length); i++) sound[i] = random.uint32() & 0xff
    next -= sound.length
  }
}

function said(modem: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    modem.stdout?.on('data', (chunk: Buffer) => {
      if (output.length < 100_000) output += chunk.toString('latin1')
      if (pattern.test(output)) resolve()
    })
    modem.once('error', reject)
    modem.once('exit', (code) => reject(new Error(`direwolf ended with ${code}: ${output}`)))
  })
}

function ended(modem: ChildProcess): Promise<void> {
  if (modem.exitCode !== null || modem.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    modem.once('exit', () => resolve())
    modem.kill('SIGKILL')
  })
}
