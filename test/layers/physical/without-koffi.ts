/** A preload that hides koffi, as on a machine that has not installed it. */
export const WITHOUT_KOFFI: string = `data:text/javascript,${encodeURIComponent(`
import Module from 'node:module'
const resolve = Module._resolveFilename
Module._resolveFilename = function (name, ...rest) {
  if (name === 'koffi') throw Object.assign(new Error('Cannot find module koffi'), { code: 'MODULE_NOT_FOUND' })
  return resolve.call(this, name, ...rest)
}`)}`
