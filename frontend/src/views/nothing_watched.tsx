import { EmptyState } from "../components/states";

const HOOK = `import tb_numstab

@tb_numstab.watch(every=50)
@tf.function
def train_step(x, y):
    ...

with tf.summary.create_file_writer("logs/run1").as_default():
    for step, (x, y) in enumerate(batches):
        train_step(x, y)
        tb_numstab.log_step(step)`;

const KERAS = `model.fit(x, y, callbacks=[tb_numstab.NumericalHealth("logs/run1", every=50)])`;

/** No run in the log folder was watched. */
export function NothingWatched() {
  return (
    <EmptyState title="No training in this log folder has been watched yet">
      <p>Watch a training step, log it, and press TensorBoard's reload button:</p>
      <pre class="sample">
        <code>{HOOK}</code>
      </pre>
      <p>With Keras:</p>
      <pre class="sample">
        <code>{KERAS}</code>
      </pre>
    </EmptyState>
  );
}
