import type { FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the key that the request carries; empty without one. */
    keyName: string
  }
}

/** Who asks, for the audit log: the name of the key, else `local`, for without keys only this machine reaches the server. */
export function callerOf(request: FastifyRequest): string {
  return request.keyName === '' ? 'local' : request.keyName
}
