guest_progs += lab-init lab-pump
lab-init_srcs := tests/lab/init.c tests/lab/init-mounts.c tests/lab/stream.c
lab-pump_srcs := tests/lab/pump.c tests/lab/pump-job.c tests/lab/stream.c
