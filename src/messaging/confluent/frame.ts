/** First byte of the Confluent wire format; no JSON text begins with it. */
const magic = 0
const headBytes = 5

/** What the frame of the Confluent wire format holds. */
export interface Frame {
  readonly schemaId: number
  readonly body: Uint8Array
}

/**
 * Bytes behind the magic byte 0 and the schema id, four bytes, big-endian.
 *
 * @see Confluent documentation, “Formats, serializers, and deserializers”, wire format
 */
export function frame({ schemaId, body }: Frame): Uint8Array {
  const framed = new Uint8Array(headBytes + body.byteLength)
  new DataView(framed.buffer).setUint32(1, schemaId)
  framed.set(body, headBytes)
  return framed
}

/** The content of a frame; undefined for bytes that are none. */
export function unframe(bytes: Uint8Array): Frame | undefined {
  if (bytes[0] !== magic || bytes.byteLength < headBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { schemaId: view.getUint32(1), body: bytes.subarray(headBytes) }
}
