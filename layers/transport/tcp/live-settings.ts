/** The settings that nodes go by while they run. */
import type { ConnectionOptions } from '../../../src/api/sockets.ts'
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Layer } from '../../../src/kernel/layer.ts'
import type { NetworkService } from '../../network/service.ts'
import type { StreamSockets } from '../service.ts'
import type { FastOpenSettings } from './fast-open-settings.ts'
import { type TcpOptions, type TcpSettings, tcpSettings } from './settings.ts'

/** What a node's tables are made for when it boots, and stays. */
const FIXED = ['maxSegmentLifetime', 'maxTimeWait', 'maxResets', 'maxReassembly', 'maxBufferGrowth'] as const

/** What can change while nodes run. */
export type TcpChanges = Omit<TcpOptions, (typeof FIXED)[number]>

/** TCP as a layer, and the handle to change what it goes by. */
export interface TcpLayer extends Layer<NetworkService, StreamSockets> {
  /**
   * Changes what is given and leaves the rest, in all nodes that this layer is part of: for what begins from then on, and limits.
   * Connections, and the `connection` options of listeners, stay as they began.
   * @throws TypeError or RangeError — it makes no sense, or has to be given before nodes boot; nothing has changed then.
   */
  set(changes: TcpChanges): void
}

export class LiveSettings {
  current: TcpSettings
  private options: TcpOptions

  /** @throws TypeError or RangeError — an option makes no sense. */
  constructor(options: TcpOptions) {
    this.options = options
    this.current = tcpSettings(options)
  }

  get connection(): Readonly<ConnectionOptions> {
    return this.current.connection
  }

  get fastOpen(): FastOpenSettings {
    return this.current.fastOpen
  }

  /** Changes what is given and leaves the rest. @throws TypeError or RangeError — it makes no sense; nothing has changed then. */
  set(changes: TcpChanges): void {
    const fixed = FIXED.find((name) => name in changes)
    if (fixed !== undefined) throw invalidValue(fixed, 'given before nodes boot', (changes as TcpOptions)[fixed])
    const { options } = this
    const connection = { ...options.connection, ...changes.connection }
    const wanted = { ...options, ...changes, connection, fastOpen: { ...options.fastOpen, ...changes.fastOpen } }
    this.current = tcpSettings(wanted)
    this.options = wanted
  }
}
