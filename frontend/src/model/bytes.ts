/** The bytes behind base64. */
export function unpack(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** The text behind base64 of its deflated bytes (RFC 1950). */
export function inflate(base64: string): Promise<string> {
  const stream = new Blob([unpack(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}
