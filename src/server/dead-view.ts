import type { DeadLetter, DeadLetterSummary } from '../messaging/index.ts'
import type { ReceivedBytes } from '../webhooks/index.ts'

/** A dead letter in lists: the form of doors.md, and what helps to find its cause. */
export function deadSummary(letter: DeadLetterSummary | DeadLetter) {
  return {
    id: letter.id,
    messageId: letter.messageId,
    event: letter.event,
    consumer: letter.consumer,
    reason: letter.reason,
    message: letter.message ?? null,
    findings: letter.findings ?? [],
    attempts: letter.attempts,
    firstFailedAt: new Date(letter.firstFailedAt).toISOString(),
    failedAt: new Date(letter.failedAt).toISOString(),
    correlationId: letter.correlationId ?? null,
    key: letter.key ?? null,
  }
}

/** One dead letter with the bytes that died, and with those that a webhook's provider sent, where they are others. */
export function deadDetail(letter: DeadLetter, received?: ReceivedBytes) {
  return {
    ...deadSummary(letter),
    address: letter.address,
    contentType: letter.contentType,
    headers: letter.headers,
    body: bytesView(letter.body),
    stack: letter.stack ?? null,
    ...(received === undefined ? {} : { received: receivedView(received) }),
  }
}

function receivedView({ source, receivedAt, headers, rawBody }: ReceivedBytes) {
  return {
    source,
    at: new Date(receivedAt).toISOString(),
    headers,
    body: bytesView(rawBody),
  }
}

/** Bytes as text where they are UTF-8, else as base64: nothing is lost either way. */
export function bytesView(bytes: Uint8Array): { encoding: 'utf8' | 'base64'; content: string } {
  try {
    return {
      encoding: 'utf8',
      content: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    }
  } catch {
    return { encoding: 'base64', content: Buffer.from(bytes).toString('base64') }
  }
}
