/**
 * Entry. TensorBoard imports this module and calls render(); a static report inlines it, and it finds
 * its data, packed, in <script type="text/plain" id="numstab-data">.
 */

import { render as mount } from "preact";
import { AppRoot } from "./app";
import { followPrinting } from "./host/print";
import { followTheme } from "./host/theme";
import { inflate } from "./model/bytes";
import { EmbeddedSource, HttpSource, type Source } from "./source";

const DATA_ID = "numstab-data";

export function render(
  root: HTMLElement = document.body.appendChild(document.createElement("div")),
  source: Source = new HttpSource(),
): void {
  document.documentElement.lang ||= "en";
  document.title ||= "Numerical health";
  root.id = "numstab";
  followTheme(document.documentElement);
  if (source.live) document.head.append(stylesheet());
  else followPrinting(root);
  mount(<AppRoot source={source} />, root);
}

function stylesheet(): HTMLLinkElement {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./style.css", import.meta.url).href;
  return link;
}

const embedded = document.getElementById(DATA_ID)?.textContent;
if (embedded) {
  inflate(embedded).then(
    (text) => render(undefined, new EmbeddedSource(JSON.parse(text))),
    () => document.body.append("This report is damaged, or needs a browser of 2023 or newer."),
  );
}
