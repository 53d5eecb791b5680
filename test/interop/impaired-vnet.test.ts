/** Transfers through an impaired link over TAP with offload on the kernel's side. */
import t from 'tap'
import { runCells } from './impaired.ts'

runCells(t, 'tap+vnet')
