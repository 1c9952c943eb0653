import java.util.ArrayList;

/** A worker thread fills the heap and ends for it; the first thread, and with it the process, goes on. */
public class Leak {
    public static void main(String[] arguments) throws InterruptedException {
        Thread worker = new Thread(() -> {
            ArrayList<byte[]> kept = new ArrayList<>();
            while (true) kept.add(new byte[1 << 20]);
        }, "worker-1");
        worker.start();
        worker.join();
        System.out.println("serving");
        Thread.sleep(Long.MAX_VALUE);
    }
}
