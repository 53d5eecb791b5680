/** What a machine of the family tells the users above of its connection. */

/** Why a connection came, went, or began anew. */
export type AbmReason =
  /** We, or the peer, set it up. */
  | 'connected'
  | 'accepted'
  /** Begun anew by the peer; by us, as the peer sent FRMR, DM or something that repetition does not mend. */
  | 'resetByPeer'
  | 'frameReject'
  | 'protocolError'
  /** DM to a set-up; DISC; our own release; N2 frames without an answer. */
  | 'refused'
  | 'peerDisconnected'
  | 'released'
  | 'noAnswer'

export interface AbmEvent {
  /** 'reset': up all the time, but `lost` packets that had been sent may not have arrived. */
  readonly state: 'up' | 'down' | 'reset'
  readonly reason: AbmReason
  /** Packets of ours that may be lost. */
  readonly lost: number
}
