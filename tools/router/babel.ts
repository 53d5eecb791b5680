/** Babel on a router (RFC 8966): what the file says of it, and what its layer is told. */
import { z } from 'zod'
import { type BabelInterface, type BabelKey, type BabelOptions, babel } from '../../src/index.ts'
import { durationField, linkNameField } from '../stack/config.ts'
import { parseDuration } from '../stack/link-spec.ts'
import { faultOf } from './fault-of.ts'
import { ruleFields } from './rules.ts'

interface FileKey {
  readonly algorithm: BabelKey['algorithm']
  /** Hexadecimal digits, two an octet. */
  readonly key: string
}

interface FileInterface {
  readonly type?: 'wired' | 'wireless' | undefined
  readonly helloInterval?: string | undefined
  readonly unicastHelloInterval?: string | undefined
  readonly updateInterval?: string | undefined
  readonly rxcost?: number | undefined
  readonly splitHorizon?: boolean | undefined
  readonly keys?: readonly FileKey[] | undefined
}

/** Babel as the file has it; times are text such as '4s'. */
export interface FileBabel extends Omit<BabelOptions, 'interfaces' | 'keys'> {
  readonly interfaces: Readonly<Record<string, FileInterface>>
  readonly keys?: readonly FileKey[] | undefined
}

const keys = z
  .array(
    z.strictObject({
      algorithm: z.enum(['hmac-sha256', 'blake2s']),
      key: z.string().regex(/^(?:[0-9a-fA-F]{2})+$/, 'a key is hexadecimal digits, two an octet'),
    }),
  )
  .describe('each signs, and any of them is believed (RFC 8967)')

export const babelField: z.ZodType<FileBabel> = z.strictObject({
  interfaces: z
    .record(
      linkNameField,
      z.strictObject({
        type: z.enum(['wired', 'wireless']).optional().describe('how the cost of the link is found; default wired'),
        helloInterval: durationField.optional().describe("default '4s'"),
        unicastHelloInterval: durationField.optional().describe('of hellos to each neighbour alone; default: none'),
        updateInterval: durationField.optional().describe('default: four hello intervals'),
        rxcost: z.int().optional().describe('default: 96, of wireless links 256'),
        splitHorizon: z.boolean().optional().describe('default: on wired links'),
        keys: keys.optional(),
      }),
    )
    .refine((interfaces) => Object.keys(interfaces).length > 0, 'Babel needs a link to speak on')
    .describe('the links it speaks on'),
  ...ruleFields('babel'),
  keys: keys.optional(),
  routerId: z.string().optional().describe('16 hexadecimal digits; default: by chance'),
  metric: z.int().optional().describe("of Babel's routes in the routing table; default 1024"),
})

/** What the layer is told. */
export function babelOptions({ interfaces, keys, ...rest }: FileBabel): BabelOptions {
  const links = Object.entries(interfaces).map(([name, one]) => [name, interfaceOptions(one)] as const)
  return { ...rest, interfaces: Object.fromEntries(links), ...keysOf(keys) }
}

function interfaceOptions({
  helloInterval,
  unicastHelloInterval,
  updateInterval,
  keys,
  ...rest
}: FileInterface): BabelInterface {
  return {
    ...rest,
    ...(helloInterval === undefined ? {} : { helloInterval: parseDuration(helloInterval) }),
    ...(unicastHelloInterval === undefined ? {} : { unicastHelloInterval: parseDuration(unicastHelloInterval) }),
    ...(updateInterval === undefined ? {} : { updateInterval: parseDuration(updateInterval) }),
    ...keysOf(keys),
  }
}

const keysOf = (keys: readonly FileKey[] | undefined): { readonly keys?: readonly BabelKey[] } =>
  keys === undefined ? {} : { keys: keys.map(keyOf) }

const keyOf = ({ algorithm, key }: FileKey): BabelKey => ({ algorithm, key: Uint8Array.from(Buffer.from(key, 'hex')) })

/** The keys of a link: its own, or those of all links. */
export const keysOn = ({ interfaces, keys = [] }: FileBabel, link: string): readonly FileKey[] =>
  interfaces[link]?.keys ?? keys

/** What may be shown of it: of keys, that there are some. */
export function shownBabel({ interfaces, ...rest }: FileBabel): object {
  const links = Object.entries(interfaces).map(([name, one]) => [name, { ...one, ...shownKeys(one.keys) }] as const)
  return { ...rest, interfaces: Object.fromEntries(links), ...shownKeys(rest.keys) }
}

const shownKeys = (keys: readonly FileKey[] | undefined): object =>
  keys === undefined ? {} : { keys: keys.map(({ algorithm }) => ({ algorithm, key: '…' })) }

/** @returns what is wrong with it, as Babel itself says. */
export const babelFault = (file: FileBabel): string | undefined => faultOf(() => babel(babelOptions(file)))
