// informer follows all pods as a Go controller does: client-go's shared informer with its defaults, objects kept whole.
//
//	informer -kubeconfig FILE [-accept json]
//
// It prints `synced COUNT` once its store holds all pods, and follows until it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the kubeconfig file")
	accept := flag.String("accept", "protobuf", "what is asked for first: protobuf, as Kubernetes' own controllers do, or json")
	flag.Parse()
	if err := follow(*kubeconfig, *accept); err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
}

func follow(kubeconfig, accept string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	if accept == "protobuf" {
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
		config.ContentType = "application/vnd.kubernetes.protobuf"
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return fmt.Errorf("the store did not sync")
	}
	fmt.Println("synced", len(informer.GetStore().ListKeys()))
	<-ctx.Done()
	return nil
}
