/** Why TCP drops segments, and the section behind each. */

export type DropReason =
  | 'truncated'
  | 'badDataOffset'
  | 'badChecksum'
  | 'malformedOption'
  | 'notUnicast'
  | 'badSource'
  | 'noConnection'
  | 'noListener'
  | 'synFin'
  | 'synQueueFull'
  | 'backlogFull'
  | 'connectionLimit'
  | 'resetLimit'
  | 'orphanLimit'
  | 'timeWaitLimit'
  | 'interceptQueueFull'
  | 'interceptPending'
  | 'intercepted'
  | 'paws'
  | 'noTimestamps'
  | 'outsideWindow'
  | 'resetOutsideWindow'
  | 'resetNotExact'
  | 'synInWindow'
  | 'noAck'
  | 'unacceptableAck'
  | 'unexpectedInSynSent'
  | 'dataAfterClose'
  | 'beyondFin'
  | 'readShut'
  | 'duplicateData'
  | 'reassemblyFull'
  | 'memoryFull'
  | 'timeWait'
  | 'timeWaitReset'

export const REASONS: Readonly<Record<DropReason, string>> = {
  truncated: 'RFC 9293 §3.1',
  badDataOffset: 'RFC 9293 §3.1',
  badChecksum: 'RFC 9293 §3.1',
  malformedOption: 'RFC 9293 §3.2',
  notUnicast: 'RFC 9293 §3.9.2.3',
  badSource: 'RFC 9293 §3.9.2.3',
  noConnection: 'RFC 9293 §3.10.7.1',
  noListener: 'RFC 9293 §3.10.7.1',
  synFin: '',
  synQueueFull: 'RFC 4987 §2.2',
  backlogFull: '',
  connectionLimit: '',
  resetLimit: '',
  orphanLimit: '',
  timeWaitLimit: '',
  interceptQueueFull: '',
  interceptPending: '',
  intercepted: '',
  paws: 'RFC 7323 §5.3',
  noTimestamps: 'RFC 7323 §3.2',
  outsideWindow: 'RFC 9293 §3.10.7.4',
  resetOutsideWindow: 'RFC 5961 §3.2',
  resetNotExact: 'RFC 5961 §3.2',
  synInWindow: 'RFC 5961 §4.2',
  noAck: 'RFC 9293 §3.10.7.4',
  unacceptableAck: 'RFC 5961 §5.2',
  unexpectedInSynSent: 'RFC 9293 §3.10.7.3',
  dataAfterClose: 'RFC 2525 §2.17',
  beyondFin: 'RFC 9293 §3.10.7.4',
  readShut: '',
  duplicateData: 'RFC 9293 §3.10.7.4',
  reassemblyFull: '',
  memoryFull: '',
  timeWait: 'RFC 9293 §3.10.7.4',
  timeWaitReset: 'RFC 1337 §3',
}
