/** What a daemon says of itself: a line for people on a terminal, an object a line for whatever gathers logs. */
import pc from 'picocolors'
import { type Logger, pino } from 'pino'

/** From the most to the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** @param json objects also on a terminal. */
export function daemonLog(level: LogLevel, json: boolean): Logger {
  const settings = { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }
  const terminal = process.stderr.isTTY === true && !json
  const file = pino.destination({ fd: 2, sync: true })
  return pino(settings, terminal ? { write: (line) => process.stderr.write(prettyLine(line)) } : file)
}

const NAMES: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'WARN', 50: 'ERROR' }

/** A line of pino's as '17:03:12 info  message key=value'; text that is none of its lines stays as it is. */
export function prettyLine(line: string, colors: Pick<typeof pc, 'dim' | 'yellow' | 'red'> = pc): string {
  let record: Record<string, unknown>
  try {
    record = JSON.parse(line)
  } catch {
    return line
  }
  const { level, time, pid: _pid, msg = '', ...rest } = record
  const paint = level === 50 ? colors.red : level === 40 ? colors.yellow : (text: string) => text
  const more = Object.entries(rest).map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return `${key}=${/\s/.test(text) ? JSON.stringify(text) : text}`
  })
  const head = `${colors.dim(String(time).slice(11, 19))} ${paint((NAMES[Number(level)] ?? '').padEnd(5))} ${paint(String(msg))}`
  return `${[head, ...(more.length === 0 ? [] : [colors.dim(more.join(' '))])].join('  ')}\n`
}
