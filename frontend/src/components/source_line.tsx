import type { Frame } from "../model/api";
import { place } from "../model/format";

/** One line of the user's program, as an editor would show it. */
export function SourceLine({ frame }: { frame: Frame }) {
  return (
    <figure class="source">
      <figcaption title={frame.file}>
        <span class="source-file">{place(frame)}</span> in {frame.function}
      </figcaption>
      <pre class="source-text">
        <span class="source-number" aria-hidden="true">
          {frame.line}
        </span>
        <code>{frame.text || "(source line not available)"}</code>
      </pre>
    </figure>
  );
}

/** The whole stack, the user's own line first and in full. */
export function Stack({ frames }: { frames: Frame[] }) {
  const [own, ...callers] = frames;
  if (!own) return <p class="muted">The hook could not tell which source line made this op.</p>;
  return (
    <>
      <SourceLine frame={own} />
      {callers.length > 0 && (
        <details class="callers">
          <summary>Called from {callers.length === 1 ? "one frame" : `${callers.length} frames`}</summary>
          <ol>
            {callers.map((frame) => (
              <li key={`${frame.file}:${frame.line}`}>
                <SourceLine frame={frame} />
              </li>
            ))}
          </ol>
        </details>
      )}
    </>
  );
}
