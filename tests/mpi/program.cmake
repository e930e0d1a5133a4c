# cmake -DPROGRAM=... -DMPIEXEC=... -DDATA=... -DFOLDER=... -P program.cmake: a training of the program on one process and
# on two, in a fixed order, ends with equal weights; one that is resumed on another number of processes, too.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
set(network "Conv;32;4;relu")
set(over_rollouts --data ${DATA} --network [[Conv\;32\;4\;relu]] --method [[sup\;2]])
set(of_windows --data ${DATA} --model avit-micro --frames 4)
set(of_sequences --data ${FOLDER}/recording.csv --window 10 --model tidhy-slds --set tol=0 --set normalize_spatial=true)
set(recording "")  # 12 channels that turn at different speeds, 160 times
foreach(time RANGE 159)
  foreach(channel RANGE 1 12)
    math(EXPR number "(${time} * ${channel} * 7 + ${channel} * ${channel}) % 23 - 11")
    string(APPEND recording "${number},")
  endforeach()
  string(REGEX REPLACE ",$" "\n" recording "${recording}")
endforeach()
file(WRITE ${FOLDER}/recording.csv "${recording}")

function(train what processes run steps)
  execute_process(
    COMMAND ${MPIEXEC} -n ${processes} ${PROGRAM} train ${${what}} --output ${FOLDER}/${run}
            --steps ${steps} --schedule constant --batch 3 --threads 1 --fixed-order --quiet ${ARGN}
    RESULT_VARIABLE code ERROR_VARIABLE error)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${run} ended with ${code}: ${error}")
  endif()
endfunction()
function(expect_equal one other)
  execute_process(COMMAND ${PROGRAM} compare ${FOLDER}/${one}/last.safetensors ${FOLDER}/${other}/last.safetensors
                  RESULT_VARIABLE code OUTPUT_VARIABLE text)
  message(STATUS "${text}")
  if(NOT code EQUAL 0 OR NOT text MATCHES "largest relative difference 0.000e.00")
    message(FATAL_ERROR "${one} and ${other} differ")
  endif()
endfunction()

foreach(what IN ITEMS over_rollouts of_windows of_sequences)
  train(${what} 1 ${what}_alone 4)
  train(${what} 2 ${what}_together 4)
  expect_equal(${what}_alone ${what}_together)
  train(${what} 2 ${what}_resumed 2)
  train(${what} 1 ${what}_resumed 4 --resume)
  expect_equal(${what}_alone ${what}_resumed)
endforeach()

# A mistake ends all of them with its sentence and code.
execute_process(COMMAND ${MPIEXEC} -n 2 ${PROGRAM} train --network "${network}" --method "sup;0" --data ${DATA}
                        --output ${FOLDER}/wrong --steps 1 RESULT_VARIABLE code ERROR_VARIABLE error)
if(code EQUAL 0 OR NOT error MATCHES "rollout = 0")
  message(FATAL_ERROR "a wrong method ended with ${code}: ${error}")
endif()
