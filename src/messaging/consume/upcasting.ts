import type { Message } from '../../contracts/index.ts'
import type { Handler } from '../types.ts'
import type { Reader } from './reader.ts'

type HandlerOf = (type: string) => Handler | undefined

/**
 * Handlers that get messages of earlier major versions upcast. A message stays the worker's own while it is converted, so
 * that order, attempts and draining hold; where the contract has no upcasts the handlers are returned as they are.
 */
export function withUpcasts(reader: Reader, handlerOf: HandlerOf): HandlerOf {
  const { upcast } = reader
  if (upcast === undefined) return handlerOf
  return (type) => {
    const handler = handlerOf(type)
    if (handler === undefined) return undefined
    return ((message, context) => {
      const turned = upcast(message as Message)
      if (turned === undefined) return handler(message, context)
      return turned.then((present) => handler(present as never, context))
    }) as Handler
  }
}
