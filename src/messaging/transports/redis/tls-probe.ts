import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { TreatyError } from '../../../core/errors.ts'
import type { RedisPlace } from './url.ts'

const probeMs = 1000
/** Nobody listens there at all, or nobody is there. */
const notThere = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/**
 * A server that expects TLS ends a plain connection without a word, and one that does not waits for the end of what it takes for
 * a command. Asks it in the other way, and says so where that is the reason; else gives the error back.
 */
export async function explainSilence(error: TreatyError, place: RedisPlace): Promise<TreatyError> {
  if (error.code !== 'BROKER_UNREACHABLE') return error
  if (notThere.has((error.cause as { code?: string } | undefined)?.code ?? '')) return error
  const speaksOther = place.tls === undefined ? await speaksTls(place) : await speaksPlain(place)
  if (!speaksOther) return error
  const [only, hint] =
    place.tls === undefined
      ? ['speaks only TLS', 'Use rediss:// for this port, and name the authority with ?ca=FILE.']
      : ['speaks no TLS', 'Use redis:// for this port, or the port that has TLS.']
  return new TreatyError(
    'BROKER_TLS_FAILED',
    `the Redis server ${place.name} ${only} on this port`,
    {
      hint,
      cause: error,
    },
  )
}

function speaksTls({ host, port }: RedisPlace): Promise<boolean> {
  // Nothing secret is sent: only whether there is a handshake.
  const socket = connectTls({ host, port, rejectUnauthorized: false })
  return answers(socket, 'secureConnect')
}

function speaksPlain({ host, port }: RedisPlace): Promise<boolean> {
  const socket = connectPlain({ host, port })
  socket.write('PING\r\n')
  return answers(socket, 'data')
}

function answers(socket: Socket, sign: 'secureConnect' | 'data'): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.setTimeout(probeMs, () => end(false))
    socket.once(sign, () => end(true))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
