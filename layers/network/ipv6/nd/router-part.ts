/** The router in Neighbour Discovery: speaks when the machine says so, with what it was told to say. */
import type { Instant } from '../../../../src/kernel/clock.ts'
import { Drive } from '../../../../src/kernel/drive.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { ALL_ROUTERS } from '../address-kinds.ts'
import type { AdvertiseOptions, DiscoveryOwner } from '../discovery.ts'
import { type AdvertiseSettings, checkAdvertise, roomForPrefixes } from './advertise-options.ts'
import { Advertiser } from './advertiser.ts'
import type { Claims } from './claims.ts'
import type { Sender } from './sender.ts'

export class RouterPart {
  private readonly env: Env
  private readonly claims: Claims
  private readonly sender: Sender
  private readonly settings: AdvertiseSettings
  private readonly advertiser: Advertiser
  private readonly drive: Drive

  constructor(
    env: Env,
    random: Random,
    owner: DiscoveryOwner,
    claims: Claims,
    sender: Sender,
    options: AdvertiseOptions,
  ) {
    this.env = env
    this.claims = claims
    this.sender = sender
    this.settings = checkAdvertise(options)
    this.advertiser = new Advertiser(this.settings.minInterval, this.settings.maxInterval, random)
    this.drive = new Drive(this.advertiser, env.timers, { pump: () => this.pump() })
    owner.join(ALL_ROUTERS)
  }

  /** The link is there, and we have an address to speak from. */
  start(): void {
    this.advertiser.start(this.env.clock.now())
    this.drive.arm()
  }

  /** What we say may have changed. */
  changed(): void {
    if (this.advertiser.speaking) this.start()
  }

  stop(): void {
    this.advertiser.stop()
  }

  /** A host asks. */
  solicited(now: Instant): void {
    this.advertiser.solicited(now)
    this.drive.arm()
  }

  /** Says goodbye, so that hosts take other routers at once (RFC 4861 §6.2.5). */
  close(): void {
    this.drive.stop()
    if (this.advertiser.speaking) this.advertise(true)
  }

  private pump(): void {
    if (this.advertiser.output()) this.advertise(false)
  }

  private advertise(goodbye: boolean): void {
    const source = this.claims.linkLocal()
    const prefixes = this.settings.prefixes ?? this.claims.prefixes(roomForPrefixes(this.settings))
    if (source !== undefined) this.sender.advertise(this.settings, prefixes, source, goodbye)
  }
}
