import type { OpPage } from "../model/api";
import { eventHistory } from "../model/marks";
import { Link } from "./link";

/** What happened to an op, when, and how often. */
export function EventsTable({ page }: { page: OpPage }) {
  const events = eventHistory(page.trend.steps, page.trend.marks);
  if (events.length === 0) {
    return (
      <p class="muted">
        Nothing in {page.trend.steps.length} measured steps: no NaN, ∞, overflow or underflow.
      </p>
    );
  }
  return (
    <div class="scroll">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Event</th>
            <th scope="col" class="number">
              First
            </th>
            <th scope="col" class="number">
              Measured steps
            </th>
            <th scope="col">When</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <tr key={event.name}>
              <th scope="row">{event.name}</th>
              <td class="number">
                <Link to={{ step: event.first }} label={`Show step ${event.first}`}>
                  {event.first}
                </Link>
              </td>
              <td class="number">{event.records}</td>
              <td>{event.spans.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
