/** How the text of a link is taken apart, and its values read; see link-spec.ts. */

/** Why a text is not a link; the message quotes the part that is wrong and says what would be right. */
export class LinkSpecError extends Error {}

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** '20ms', '1.5s', '100us' in microseconds. @throws LinkSpecError */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(text)
  if (match === null) throw new LinkSpecError(`'${text}' is not a time such as '20ms' or '1.5s'`)
  return Math.round(Number(match[1]) * (match[2] === 'us' ? 1 : match[2] === 'ms' ? 1000 : 1_000_000))
}

/** 'HOST:PORT', '[V6]:PORT', or 'PORT' where a default host is given. @throws LinkSpecError */
export function parseHostPort(text: string, defaultHost?: string): HostPort {
  return hostPort(undefined, text, defaultHost)
}

/** The same, as part of a link's text. */
export function hostPort(whole: string | undefined, text: string, defaultHost: string | undefined): HostPort {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? defaultHost
  const port = Number(match?.[3])
  if (host === undefined || !(port <= 65_535)) {
    const why = `'${text}' is not ${defaultHost === undefined ? 'HOST:PORT' : '[HOST:]PORT'} with a port up to 65535`
    if (whole === undefined) throw new LinkSpecError(why)
    fail(whole, why)
  }
  return { host, port }
}

/** @throws LinkSpecError — always. */
export function fail(text: string, why: string): never {
  throw new LinkSpecError(`'${withoutSecrets(text)}' is not a link: ${why}`)
}

/** The text of a link without what is nobody's business; it need not be one that can be read. */
export const withoutSecrets = (text: string): string =>
  text.replace(/\b(secret)=[^,]*|\b(cookie)=[^,)]*/g, (_, secret = 'cookie') => `${secret}=…`)

/** The `key=value` and bare `key` parts after the first comma. */
export class Options {
  private readonly text: string
  private readonly parts: { key: string; value: string | undefined }[]

  constructor(text: string, rest: string | undefined) {
    this.text = text
    this.parts = (rest === undefined ? [] : rest.split(',')).map((part) => {
      const at = part.indexOf('=')
      return at < 0 ? { key: part, value: undefined } : { key: part.slice(0, at), value: part.slice(at + 1) }
    })
  }

  takeAll(key: string): string[] {
    const found = this.parts.filter((part) => part.key === key)
    for (const part of found) this.parts.splice(this.parts.indexOf(part), 1)
    return found.map((part) => {
      if (part.value === undefined || part.value === '') fail(this.text, `'${key}' needs a value: ${key}=…`)
      return part.value
    })
  }

  take(key: string): string | undefined {
    const [value, second] = this.takeAll(key)
    if (second !== undefined) fail(this.text, `'${key}' is given twice`)
    return value
  }

  oneOf<Value extends string>(key: string, values: readonly Value[]): Value | undefined {
    const text = this.take(key)
    const value = values.find((value) => value === text)
    if (text !== undefined && value === undefined) {
      const quoted = values.map((value) => `'${value}'`)
      fail(this.text, `${key} is ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}, not '${text}'`)
    }
    return value
  }

  flag(key: string): boolean {
    const at = this.parts.findIndex((part) => part.key === key && part.value === undefined)
    if (at >= 0) this.parts.splice(at, 1)
    return at >= 0
  }

  integer(key: string, low: number, high: number): number | undefined {
    const text = this.take(key)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < low || value > high) {
      const why = key === 'mtu' && value < low ? `, less is too small for IPv4` : ''
      fail(this.text, `'${key}' is a number from ${low} to ${high}${why}`)
    }
    return value
  }

  /** Whatever is left is unknown. */
  none(): void {
    const [part] = this.parts
    if (part !== undefined) fail(this.text, `'${part.key}' is no option of this kind of link`)
  }
}
