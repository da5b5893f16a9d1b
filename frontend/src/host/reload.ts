/**
 * The message channel to TensorBoard's plugin host. Its library is not published; this is the part
 * of its protocol that is needed: shake hands, then hear of reloads.
 */

interface HostMessage {
  type: string;
  id: number;
  isReply: boolean;
}

/** Calls back when TensorBoard has read the log folder again, by its button or by auto-reload. */
export function onDataReloaded(callback: () => void): void {
  if (window.parent === window) return;
  const channel = new MessageChannel();
  window.parent.postMessage("experimental.bootstrap", "*", [channel.port2]);
  channel.port1.onmessage = (event: MessageEvent<string>) => {
    const message = JSON.parse(event.data) as HostMessage;
    if (message.isReply) return;
    if (message.type === "experimental.DataReloaded") callback();
    channel.port1.postMessage(
      JSON.stringify({ type: message.type, id: message.id, payload: null, error: null, isReply: true }),
    );
  };
}
