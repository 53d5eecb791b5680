/** Where others connect to a link: one after the other, each as long as it stays. */
import { once } from 'node:events'
import { existsSync, lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { NetError } from '../../src/index.ts'
import type { HostPort } from './link-text.ts'

/** A path of a Unix socket, which its owner alone may use, or a port of this machine. */
export type Place = string | HostPort

/** A machine that goes without a word is missed: after ten seconds of silence it is asked, by TCP. */
export const WATCHED = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 } as const

export class Doorway {
  private readonly place: Place
  private readonly server: Server
  /** Who has come before it was asked for. */
  private guest: Socket | undefined
  private waiting: ((socket: Socket) => void) | undefined
  private closed = false

  constructor(place: Place) {
    this.place = place
    this.server = createServer({ ...WATCHED, pauseOnConnect: true }, (socket) => this.arrived(socket))
    // A link has one other end.
    this.server.maxConnections = 1
  }

  /** @throws Error EADDRINUSE, EACCES, … — the place cannot be had. */
  async open(): Promise<void> {
    const { server, place } = this
    if (typeof place === 'string') {
      await removeStale(place)
      if (this.closed) return
      // Binding happens within `listen`: the mask makes the socket private from its first moment.
      const mask = process.umask(0o177)
      server.listen(place)
      process.umask(mask)
    } else {
      server.listen(place.port, place.host)
    }
    try {
      await once(server, 'listening')
    } catch (cause) {
      // The system's word for a folder that is not there is the same as for one that may not be written to.
      if (typeof place !== 'string' || existsSync(dirname(place))) throw cause
      throw new NetError('ENOENT', `there is no folder for ${place}: make it first`, { syscall: 'listen', cause })
    }
  }

  /** The next one who connects; paused. */
  next(): Promise<Socket> {
    const { guest } = this
    this.guest = undefined
    if (guest !== undefined && !guest.destroyed) return Promise.resolve(guest)
    return new Promise((resolve) => {
      this.waiting = resolve
    })
  }

  close(): void {
    this.closed = true
    this.guest?.destroy()
    this.server.close()
  }

  private arrived(socket: Socket): void {
    socket.on('error', () => {}) // the link says so; before there is one, nobody minds
    const { waiting } = this
    this.waiting = undefined
    if (waiting === undefined) this.guest = socket
    else waiting(socket)
  }
}

/** A program that was killed leaves its socket behind, which nobody answers. */
async function removeStale(path: string): Promise<void> {
  const probe = connect(path)
  try {
    await once(probe, 'connect')
  } catch (error) {
    // So does what is no socket at all, which is not ours to remove.
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' && lstatSync(path).isSocket()) rmSync(path)
  } finally {
    probe.destroy()
  }
}
