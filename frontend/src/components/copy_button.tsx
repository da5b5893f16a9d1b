import { useRef, useState } from "preact/hooks";
import { useApp } from "../context";
import { copyText } from "../host/clipboard";

interface CopyButtonProps {
  label: string;
  /** Called when pressed: a link may change until then. */
  text: () => string;
  done: string;
}

/** Copies a text; where the browser refuses, shows it selected in a field. */
export function CopyButton({ label, text, done }: CopyButtonProps) {
  const { announce } = useApp();
  const [shown, setShown] = useState<string | null>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const copy = async () => {
    const what = text();
    if (await copyText(what)) announce(done);
    else setShown(what);
  };
  const close = () => {
    setShown(null);
    opener.current?.focus();
  };
  return (
    <span class="copy">
      <button type="button" class="button" ref={opener} onClick={copy}>
        {label}
      </button>
      {shown !== null && <CopyField text={shown} close={close} />}
    </span>
  );
}

function CopyField({ text, close }: { text: string; close: () => void }) {
  const select = (field: HTMLTextAreaElement | null) => field?.select();
  return (
    <div class="popover copy-field">
      <label>
        The browser does not let this page copy. Press Ctrl+C (⌘C) to copy it yourself:
        <textarea
          readOnly
          rows={3}
          ref={select}
          value={text}
          onKeyDown={(e) => e.key === "Escape" && close()}
        />
      </label>
      <button type="button" class="button" onClick={close}>
        Close
      </button>
    </div>
  );
}
